"""Arguments, secrets and SSH keys that a request names files for: used, and in no layer, history, log or result."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import uuid

import pytest

from strake_oci.spec.reference import Reference
from tests.conformance.flatten import flatten
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

SECRET = "nobody-must-see-this"


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        push_image("base", f"{running.host}/base:1")
        yield running


@pytest.fixture
def execute(registry, tmp_path):
    """Execute a request; return its result, its output and the image, where there is one."""
    repository = f"{registry.host}/{uuid.uuid4().hex[:8]}"

    def executed(dockerfile: str, *flags: str, flattened: bool = True, **changes):
        request = {
            "source": {"inline": {"files": {"Dockerfile": f"FROM {registry.host}/base:1\n{dockerfile}"}}},
            "output": {"destinations": [f"{repository}:1"]},
            "registries": {"hosts": {registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
            **changes,
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words, *flags])
        result = (tmp_path / "result.json").read_text()
        assert SECRET not in result + done.stdout + done.stderr
        image = None
        if flattened and json.loads(result)["outcome"] == "Succeeded":
            reference = Reference.parse(f"{repository}:1")
            with registry.client() as client:
                image = flatten(client, reference.repository, reference.tag)
        return json.loads(result), done.stdout + done.stderr, image

    return executed


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", path], check=True)
    return path


def given(tmp_path, name: str, content: str) -> str:
    path = tmp_path / name
    path.write_text(content)
    return str(path)


def test_a_secret_is_for_the_steps_that_mount_it(execute, tmp_path):
    path = given(tmp_path, "s", SECRET)
    result, log, image = execute(
        "RUN --mount=type=secret,id=npmrc md5sum /run/secrets/npmrc\n"
        "RUN ! test -e /run/secrets/npmrc && ! grep -rqs nobody-must-see-thi[s] /run /tmp /root /etc /var\n",
        secrets=[{"id": "npmrc", "path": path}],
    )
    assert result["outcome"] == "Succeeded", result
    assert hashlib.md5(SECRET.encode()).hexdigest() in log
    assert SECRET not in str(image.config)


def test_an_undeclared_secret_is_told_with_where_to_name_it(execute):
    result, _, _ = execute("RUN --mount=type=secret,id=other,required cat /run/secrets/other\n")
    assert result["reason"] == "StepFailed"
    assert "spec.secrets" in result["message"]
    result, _, _ = execute("RUN --mount=type=ssh,required true\n")
    assert "spec.ssh" in result["message"]


def test_a_value_from_a_file_is_a_value_as_any(execute, tmp_path):
    path = given(tmp_path, "v", "from a file")
    result, log, image = execute(
        'ARG WHO=nobody\nRUN echo "it is $WHO"\n',
        args=[{"name": "WHO", "file": path}],
        warnings=["look here"],
    )
    assert "| it is from a file" in log
    assert [each["message"] for each in result["warnings"]] == ["look here"]
    assert "|1 WHO=from a file" in str(image.config)


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff", "no text in UTF-8"), (b"a\0b", "null character"), (b"x" * 9000, "8192")]
)
def test_a_value_that_cannot_be_one(execute, tmp_path, content, words):
    (tmp_path / "v").write_bytes(content)
    result, _, _ = execute("ARG WHO\n", args=[{"name": "WHO", "file": str(tmp_path / "v")}])
    assert result["reason"] == "InvalidRequest"
    assert words in result["message"]


def test_an_epoch_from_a_file_is_checked_as_any(execute, tmp_path):
    path = given(tmp_path, "v", "yesterday")
    result, _, _ = execute("ARG X\n", args=[{"name": "SOURCE_DATE_EPOCH", "file": path}])
    assert result["reason"] == "InvalidRequest"


SHOW_AGENT = """\
RUN --mount=type=ssh,uid=1234,gid=1235,mode=0600,target=/agent stat -c 'seen %a %u %g' /agent
USER 1234:1235
RUN --mount=type=ssh,uid=1234 perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0); \
    connect(S,pack_sockaddr_un($ENV{SSH_AUTH_SOCK})) or die $!; syswrite S,pack("NC",1,11); \
    sysread S,$b,4096; print "keys ",unpack("N",substr($b,5,4))," ",$b=~/deploy/?"deploy":"none","\\n"'
"""


def test_a_step_of_any_user_asks_the_agent_for_a_key_it_does_not_see(execute, key):
    result, output, _ = execute(SHOW_AGENT, ssh=[{"id": "default", "path": str(key)}])
    assert result["outcome"] == "Succeeded", result
    assert "| seen 600 1234 1235" in output
    assert "| keys 1 deploy" in output
    secret = key.read_text().splitlines()[2]
    assert secret not in output
    left = subprocess.run(["pgrep", "-fc", "ssh-agent -D -a agent-"], capture_output=True, text=True)
    assert left.stdout.strip() == "0"


@pytest.mark.parametrize("content", ["no key\n", ""])
def test_what_is_no_key(execute, tmp_path, content):
    result, _, _ = execute(
        "RUN --mount=type=ssh,required true\n", ssh=[{"id": "default", "path": given(tmp_path, "k", content)}]
    )
    assert result["outcome"] == "Failed"
    assert "the SSH key 'default' cannot be used" in result["message"]
    assert "passphrase" in result["message"]


def test_a_key_with_a_passphrase_is_refused(execute, tmp_path):
    path = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words", "-f", path], check=True)
    result, _, _ = execute("RUN --mount=type=ssh,required true\n", ssh=[{"id": "default", "path": str(path)}])
    assert "the SSH key 'default' cannot be used" in result["message"]


def test_a_dockerfile_of_the_request_takes_the_place_of_the_contexts(execute, registry):
    result, log, _ = execute(
        "RUN echo the other one\n",
        dockerfileInline=f"FROM {registry.host}/base:1\nCOPY . /context\nRUN ls -A /context && nothing-there\n",
    )
    assert "| Dockerfile" in log
    assert "the other one" not in log
    assert (result["file"], result["line"]) == ("Dockerfile", 3)


def test_fields_of_a_tag_are_filled(execute, registry):
    repository = f"{registry.host}/filled/{uuid.uuid4().hex[:8]}"
    before = int(time.time())
    output = {"destinations": [f"{repository}:x-{{date}}.{{timestamp}}", f"{repository}:plain"]}
    request = {"output": output, "cache": {"repository": f"{repository}/cache"}}
    result, _, _ = execute("RUN true\n", flattened=False, **request)
    assert result["outcome"] == "Succeeded", result
    first, second = result["references"]
    assert second == f"{repository}:plain"
    found = re.fullmatch(rf"{re.escape(repository)}:x-([0-9]{{8}})[.]([0-9]{{10}})", first)
    assert found
    assert before <= int(found[2]) <= time.time()
    with registry.client() as client:
        digests = {str(client.resolve(Reference.parse(each)).digest) for each in (first, second)}
    assert digests == {result["digest"]}
    assert result["images"] == [f"{repository}@{result['digest']}"]


@pytest.mark.parametrize("field", ["generation", "branch", "revision"])
def test_a_field_without_a_value_is_named(execute, field):
    output = {"destinations": [f"r.example/app:{{{field}}}"]}
    result, _, _ = execute("RUN true\n", flattened=False, output=output)
    assert result["reason"] == "InvalidRequest"
    assert f"no value for {{{field}}}" in result["message"]


def test_aliases_are_in_the_hosts_of_steps(execute):
    aliases = [{"ip": "10.9.8.7", "hostnames": ["a.example", "b.example"]}]
    _, log, _ = execute("RUN cat /etc/hosts\n", hostAliases=aliases)
    assert "| 10.9.8.7\ta.example b.example" in log
