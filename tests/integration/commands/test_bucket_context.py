"""A context in a bucket, as kaniko's executor is given one."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile

import pytest

from strake_api.requests.build import BuildRequest
from strake_builder.context.fetch import Means, fetch_context
from strake_builder.progress.transfer_lines import size_text
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.artifacts import archive
from tests.fixtures.narrow import present
from tests.fixtures.servers.clouds import AWS, running_cloud
from tests.fixtures.servers.s3 import running_s3

FILES = archive({"app/Dockerfile": "FROM scratch\nCOPY motd /\n", "app/motd": "from a bucket\n"})


@pytest.fixture(scope="module")
def s3():
    with running_s3({"ci/a b/context.tar": FILES}) as running:
        yield running


@pytest.fixture
def build(s3, tmp_path):
    def run(context: str, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [STRAKE, "build", "-c", context, "--context-sub-path=app", "--work-dir", tmp_path / "work"]
        named = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_REGION": "us-east-1"}
        named |= {"S3_ENDPOINT": s3.url, "S3_FORCE_PATH_STYLE": "true", "AWS_EC2_METADATA_DISABLED": "true"}
        done = run_strake([*command, "-o", tmp_path / "out", *flags], named | variables)
        assert "Signature" not in done.stdout + done.stderr
        assert variables.get("AWS_SECRET_ACCESS_KEY", "-") not in done.stdout + done.stderr
        return done

    return run


def test_an_identity_that_may_read_it(build, s3, tmp_path):
    done = build("s3://box/ci/a b/context.tar", **s3.reader)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/motd").read_text() == "from a bucket\n"


def test_a_named_context(build, s3, tmp_path):
    (tmp_path / "main/app").mkdir(parents=True)
    (tmp_path / "main/app/Dockerfile").write_text("FROM scratch\nCOPY --from=lib app/motd /from-lib\n")
    done = build(str(tmp_path / "main"), "--build-context", "lib=s3://box/ci/a b/context.tar", **s3.reader)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/from-lib").read_text() == "from a bucket\n"


def test_a_named_context_that_may_not_be_read(build, s3, tmp_path):
    (tmp_path / "main/app").mkdir(parents=True)
    (tmp_path / "main/app/Dockerfile").write_text("FROM scratch\nCOPY --from=lib app/motd /from-lib\n")
    named = ["--build-context", "lib=s3://box/ci/a b/context.tar"]
    done = build(str(tmp_path / "main"), *named, **s3.stranger)
    assert done.returncode == 4, done.stderr
    assert "check the name, and that the identity may read it (s3:GetObject)" in done.stderr


@pytest.mark.parametrize("who", ["stranger", "nobody", "wrong key"])
def test_others_are_told_what_to_check(build, s3, who):
    wrong = s3.reader | {"AWS_SECRET_ACCESS_KEY": "another"}
    variables = {"stranger": s3.stranger, "nobody": {}, "wrong key": wrong}[who]
    done = build("s3://box/ci/a b/context.tar", **variables)
    assert done.returncode == 4, done.stderr
    assert "cannot fetch s3://box/ci/a b/context.tar" in done.stderr
    assert "check the name, and that the identity may read it (s3:GetObject)" in done.stderr


def test_a_role_that_the_pod_is_refused(build, tmp_path):
    (tmp_path / "token").write_text("another")
    with running_cloud(AWS) as (host, asked):
        role = {
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/builder",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": f"http://{host}",
        }
        done = build("s3://box/ci/a b/context.tar", **role)
    assert asked == ["POST /"]
    assert done.returncode == 4, done.stderr
    assert "cannot sign for s3://box/ci/a b/context.tar" in done.stderr
    assert "InvalidIdentityToken" in done.stderr
    assert "check $AWS_REGION, $S3_ENDPOINT and the identity" in done.stderr


def test_what_names_no_object(build, s3):
    done = build("s3://box", **s3.reader)
    assert done.returncode == 4
    assert "names no object of a bucket" in done.stderr


def test_a_network_that_is_denied(build, s3):
    done = build("s3://box/ci/a b/context.tar", "--deny-network", "127.0.0.0/8", **s3.reader)
    assert done.returncode == 4
    assert "a network that builds may not reach" in done.stderr


def unpack_plain(archive, directory):
    with tarfile.open(fileobj=io.BytesIO(archive.read(1 << 20))) as content:
        content.extractall(directory, filter="data")


def fetched(s3, directory, secret, bucket="{url}/box", *, named=False):
    """Run the init container's command for a Secret, and return it with where the archive is to be.

    `named` has the object as a named context, beside a build context that needs no Secret.
    """
    mounted = directory / "secret"
    mounted.mkdir()
    keys = secret | {"bucket": bucket.format(url=s3.url)}
    for name, value in keys.items():
        (mounted / name).write_text(value)
    source = {"url": "s3://box/ci/a b/context.tar", "endpoint": s3.url, "region": "us-east-1", "path": "app"}
    paths = {"credentials": str(mounted), "fetched": str(directory / "source")}
    inline = {"inline": {"files": {"Dockerfile": "FROM scratch"}}}
    request = {
        "source": inline if named else {"bucket": source | paths},
        "contexts": [{"name": "lib", "source": {"bucket": source | paths}}] if named else [],
        "output": {"destinations": ["r.example/app:1"]},
        "work_directory": str(directory),
    }
    document = BuildRequest.model_validate(request)
    (directory / "request.json").write_text(document.to_json())
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    done = run_strake([STRAKE, "fetch", "--request", directory / "request.json"], environment)
    assert secret["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    return done, document, directory / "source"


@pytest.mark.parametrize("named", [False, True], ids=["source", "named context"])
def test_a_secret_opens_the_bucket_in_the_init_container(s3, tmp_path, named):
    done, document, source = fetched(s3, tmp_path, s3.reader, named=named)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "== fetching s3://box/ci/a b/context.tar",
        f"   s3://box/ci/a b/context.tar: fetched {size_text(len(FILES))}",
        f"fetched sha256:{hashlib.sha256(FILES).hexdigest()}",
    ]
    assert (source / "archive").read_bytes() == FILES
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    chosen = present(document.contexts[0].source) if named else document.source
    found = fetch_context(chosen, str(scratch), Means(unpack=unpack_plain))
    assert (scratch / "app/motd").read_text() == "from a bucket\n"
    assert found.digest == f"sha256:{hashlib.sha256(FILES).hexdigest()}"


@pytest.mark.parametrize(
    ("who", "bucket", "words"),
    [
        ("reader", "s3://box", "is not for http://127.0.0.1"),
        ("reader", "", "does not tell for which bucket"),
        ("stranger", "{url}/box", "check the name, and that the identity may read it"),
    ],
)
@pytest.mark.parametrize("named", [False, True], ids=["source", "named context"])
def test_a_secret_of_another_bucket_or_of_somebody_else(s3, tmp_path, who, bucket, words, named):
    done, _, source = fetched(s3, tmp_path, getattr(s3, who), bucket, named=named)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert not (source / "digest").exists()
