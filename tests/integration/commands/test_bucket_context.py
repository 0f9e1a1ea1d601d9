"""A context in a bucket, as kaniko's executor is given one."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.content.artifacts import archive
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
        done = subprocess.run(
            [*command, "-o", tmp_path / "out", *flags],
            capture_output=True,
            text=True,
            env=named | variables,
            timeout=180,
        )
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


def test_what_names_no_object(build, s3):
    done = build("s3://box", **s3.reader)
    assert done.returncode == 4
    assert "names no object of a bucket" in done.stderr


def test_a_network_that_is_denied(build, s3):
    done = build("s3://box/ci/a b/context.tar", "--deny-network", "127.0.0.0/8", **s3.reader)
    assert done.returncode == 4
    assert "a network that builds may not reach" in done.stderr
