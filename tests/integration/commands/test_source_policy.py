"""What may be built from, as a person says it: `--source-policy` and `--lock`."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest

from tests.fixtures.building.builds import Builder
from tests.fixtures.content.git_repository import Repository, repository
from tests.images.push import push_image

__all__ = ["repository"]


def write(path: Path, *rules: dict) -> str:
    path.write_text(json.dumps({"version": 1, "rules": list(rules)}))
    return str(path)


def deny(identifier: str) -> dict:
    return {"action": "DENY", "selector": {"identifier": identifier}}


def convert(identifier: str, to: str) -> dict:
    return {"action": "CONVERT", "selector": {"identifier": identifier}, "updates": {"identifier": to}}


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        ("FROM TINY\n", deny("docker-image://*/library/busybox:1")),
        ("FROM scratch\nCOPY --from=TINY /bin /\n", deny("docker-image://*")),
        ("FROM scratch\nADD https://files.example/a /\n", deny("https://files.example/*")),
        ("FROM scratch\nADD https://git.example/a.git#main /\n", deny("git://git.example/*")),
    ],
    ids=["a base image", "an image that is copied from", "a URL", "a repository"],
)
def test_what_is_denied_is_not_asked_for(builder: Builder, tmp_path, steps, rule):
    builder.context(steps)
    done = builder.run("--source-policy", write(tmp_path / "policy.json", rule))
    assert done.returncode != 0
    assert "the source policy denies" in done.stderr, done.stderr
    assert builder.tags() == []


def test_a_context_is_a_source_too(builder: Builder, tmp_path):
    path = write(tmp_path / "policy.json", deny("git://git.example/*"))
    done = builder.run("--source-policy", path, "--context", "git+https://git.example/a.git#main")
    assert done.returncode == 4, done.stderr
    assert "the source policy denies git://git.example/a.git#main" in done.stderr


def test_an_image_stands_for_another(builder: Builder, tmp_path):
    builder.context("FROM upstream.example/busybox:1\nRUN true\n")
    rule = convert(
        "docker-image://upstream.example/*", f"docker-image://{builder.registry.host}/library/${{1}}"
    )
    metadata = tmp_path / "metadata.json"
    done = builder.run("--source-policy", write(tmp_path / "p.json", rule), "--metadata-file", str(metadata))
    assert done.returncode == 0, done.stderr
    [base] = json.loads(metadata.read_text())["baseImages"]
    assert base["reference"] == builder.names["TINY"]


def test_the_variable_of_buildkit_names_one(builder: Builder, tmp_path):
    builder.context("FROM TINY\n")
    path = write(tmp_path / "policy.json", deny("*"))
    done = builder.run(EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=path)
    assert done.returncode != 0
    assert "the source policy denies" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", '{"rules": [{"action": "WARN"}]}', '{"rule": []}'])
@pytest.mark.parametrize("flag", ["--source-policy", "--lock"])
def test_what_is_no_policy_is_refused_before_work(builder: Builder, tmp_path, content, flag):
    (tmp_path / "policy.json").write_text(content)
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    done = builder.run(flag, str(tmp_path / "policy.json"))
    assert done.returncode == 2, done.stderr
    assert str(tmp_path / "policy.json") in done.stderr


class Web(http.server.BaseHTTPRequestHandler):
    """Serves a file that tests change."""

    content = b"first\n"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web():
    handler = type("Served", (Web,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/file", handler
        server.shutdown()
        thread.join()


def identifiers(lock: Path) -> set[str]:
    return {rule["selector"]["identifier"] for rule in json.loads(lock.read_text())["rules"]}


def test_a_lock_holds_what_has_moved_since(builder: Builder, repository: Repository, tmp_path):
    """The tag of a base image and a branch move: a build with the lock is made from what it was made from."""
    base, lock = f"{builder.registry.host}/{builder.name}/base:1", tmp_path / "strake.lock"
    push_image("tiny", base)
    builder.context(f"FROM {base}\nADD {repository.url}#main /src\n")
    done = builder.run("--reproducible", "--lock", str(lock))
    assert done.returncode == 0, done.stderr
    name = repository.url.removeprefix("git://")
    assert identifiers(lock) == {f"docker-image://{base}", f"git://{name}#main"}
    before, text = done.stdout, lock.read_text()
    push_image("base", base)
    repository.commit(readme="second\n")
    again = builder.run("--reproducible", "--lock", str(lock))
    assert (again.returncode, again.stdout) == (0, before), again.stderr
    assert lock.read_text() == text
    lock.unlink()
    anew = builder.run("--reproducible", "--lock", str(lock))
    assert (anew.returncode, anew.stdout == before) == (0, False), anew.stderr
    assert lock.read_text() != text


def test_a_context_in_git_is_locked(builder: Builder, repository: Repository, tmp_path):
    repository.commit(Dockerfile="FROM scratch\nCOPY readme /\n")
    lock = tmp_path / "strake.lock"
    flags = ("--reproducible", "--lock", str(lock), "--context", f"git+{repository.url}#main")
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
    repository.commit(readme="second\n")
    again = builder.run(*flags)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr


def test_a_url_that_serves_something_else_than_the_lock_has_fails_the_build(builder: Builder, web, tmp_path):
    url, handler = web
    lock = tmp_path / "strake.lock"
    builder.context(f"FROM scratch\nADD {url} /\n")
    done = builder.run("--lock", str(lock))
    assert done.returncode == 0, done.stderr
    [rule] = json.loads(lock.read_text())["rules"]
    checksum = f"sha256:{hashlib.sha256(b'first' + bytes([10])).hexdigest()}"
    assert rule["updates"] == {"identifier": url, "attrs": {"http.checksum": checksum}}
    handler.content = b"second\n"
    again = builder.run("--lock", str(lock))
    assert again.returncode != 0
    assert checksum.removeprefix("sha256:") in again.stderr, again.stderr


def test_a_lock_gets_what_it_has_not_and_only_of_a_build_that_succeeds(builder: Builder, tmp_path):
    lock = tmp_path / "strake.lock"
    builder.context("FROM TINY\nRUN exit 1\n")
    assert builder.run("--lock", str(lock)).returncode != 0
    assert not lock.exists()
    builder.context("FROM TINY\nRUN true\n")
    assert builder.run("--lock", str(lock)).returncode == 0
    [first] = json.loads(lock.read_text())["rules"]
    other = f"{builder.registry.host}/{builder.name}/other:1"
    push_image("tiny", other)
    builder.context(f"FROM TINY\nCOPY --from={other} /bin/busybox /other\n")
    done = builder.run("--lock", str(lock))
    assert done.returncode == 0, done.stderr
    rules = json.loads(lock.read_text())["rules"]
    assert (rules[0], len(rules)) == (first, 2)
    assert list(tmp_path.glob(".strake*")) == []
