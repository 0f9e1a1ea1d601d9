"""ADD of URLs and git repositories, from servers on loopback."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import threading
from typing import Any

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.content.git_repository import repository

__all__ = ["repository"]

CONTENT = b"downloaded\n" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", "/file.txt")
            self.end_headers()
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        short = self.path.startswith("/short")
        self.send_header("Content-Length", str(len(CONTENT) * (2 if short else 1)))
        self.send_header("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_becomes_a_file(builder, web):
    checksum = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    builder.context(
        f"FROM TINY\nADD {web}/file.txt /dir/\nADD --checksum={checksum} --chmod=755 {web}/redirect /named\n"
        "RUN stat -c %Y /dir/file.txt"
    )
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert "| 1000000000" in done.stderr
    paths = builder.built().paths
    assert (paths["/dir/file.txt"]["mode"], paths["/dir/file.txt"]["size"]) == ("0600", len(CONTENT))
    assert paths["/named"]["mode"] == "0755"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ADD {web}/missing /x", "status 404"),
        ("ADD {web}/short /x", "/short"),
        ("ADD --checksum=sha256:" + "0" * 64 + " {web}/file.txt /x", "checksum"),
        ("ADD http://user:hunter2@127.0.0.1:1/x /x", "127.0.0.1:1"),
    ],
)
def test_a_download_that_fails_says_why_without_secrets(builder, web, line, words):
    builder.context("FROM TINY\n" + line.format(web=web))
    done = builder.run()
    assert done.returncode == 4, done.stderr
    assert words in done.stderr
    assert "Dockerfile:2" in done.stderr
    assert "hunter2" not in done.stderr
    assert builder.tags() == []


def test_a_repository_becomes_its_files(builder, repository):
    url, commit = repository.url, repository.commit()
    builder.context(
        f"FROM TINY\nADD {url}#main /all/\nADD {url}#main:sub /sub/\n"
        f"ADD --keep-git-dir=true --checksum={commit} {url}#main /kept/\n"
    )
    done = builder.run()
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert paths["/all/run.sh"]["mode"] == "0755"
    assert paths["/all/sub/file"]["mode"] == "0644"
    assert "/sub/file" in paths
    assert "/kept/.git/HEAD" in paths
    assert not [p for p in paths if p.startswith(("/all/.git", "/sub/.git"))]


def provenance(builder: Builder) -> dict[str, Any]:
    """Return what is attested of the image that was pushed."""
    words = [str(STRAKE), "attestations", builder.destination, "--insecure", "--print", "provenance"]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=180, check=True).stdout
    found: dict[str, Any] = json.loads(shown)["predicate"]
    return found


def test_provenance_names_what_was_added_and_not_what_opens_it(builder, web, repository):
    opened = web.replace("://", "://user:hunter2@")
    commit = repository.commit()
    builder.context(f"FROM TINY\nADD {opened}/file.txt /x\nADD {repository.url}#main:sub /sub/\n")
    done = builder.run("--provenance=max")
    assert done.returncode == 0, done.stderr
    definition = provenance(builder)["buildDefinition"]
    named = {each["uri"]: each["digest"] for each in definition["resolvedDependencies"]}
    assert named[f"{web}/file.txt"] == {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert named[repository.url] == {"sha1": commit}
    assert "hunter2" not in json.dumps(definition)


def test_a_git_context_is_built_at_its_commit(builder, repository, tmp_path):
    url, commit = repository.url, repository.commit()
    builder.context("FROM TINY")
    (tmp_path / "Dockerfile").write_text(f"FROM {builder.names['TINY']}\nCOPY . /c/\n")
    done = builder.run(
        "--context",
        f"git+{url}#main:sub",
        "--dockerfile",
        str(tmp_path / "Dockerfile"),
        "--metadata-file",
        str(tmp_path / "result.json"),
        "--provenance=min",
    )
    assert done.returncode == 0, done.stderr
    definition = provenance(builder)["buildDefinition"]
    assert definition["externalParameters"]["configSource"]["uri"] == f"{url}#main:sub"
    assert definition["externalParameters"]["configSource"]["digest"] == {"sha1": commit}
    assert definition["externalParameters"]["request"]["locals"] == [{"name": "dockerfile"}]
    assert builder.built().paths["/c/file"]["mode"] == "0644"
    assert commit in (tmp_path / "result.json").read_text()


@pytest.mark.parametrize(
    "context",
    ["git+ext::sh -c 'touch /tmp/hacked'", "git+file:///etc", "git+--upload-pack=x", "git+https://x#--help"],
)
def test_a_git_url_cannot_command_git(builder, context):
    builder.context("FROM TINY")
    done = builder.run("--context", context, timeout=180)
    assert done.returncode in {2, 4}, done.stderr
    assert not os.path.exists("/tmp/hacked")


def test_what_add_fetches_is_told_as_it_comes(builder, web, repository, tmp_path):
    """In no other form than contexts are; what is secret in a URL's path is not shown."""
    repository.commit(**{f"more-{number}": str(number) for number in range(150)})  # git packs no few objects
    (tmp_path / "token").write_text("hunter2-of-mine\n")
    builder.context(
        f"FROM TINY\nARG TOKEN\nADD {web.replace('://', '://me:pass@')}/file.txt?sig=word /1\n"
        f"ADD {web}/$TOKEN/file /2\nADD {repository.url}#main /3/\n"
    )
    secrets = ["--secret", f"id=token,src={tmp_path}/token", "--build-arg", "TOKEN=hunter2-of-mine"]
    done = builder.run("--log-format", "json", *secrets)
    assert done.returncode == 0, done.stdout
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = {e["source"]: (e["done"], e["total"]) for e in events if e["type"] == "ContextProgress"}
    assert told[f"{web}/file.txt"] == told[f"{web}/xxxxx/file"] == (len(CONTENT), len(CONTENT))
    received, total = told[repository.url]
    assert received == total > 150
    assert len(told) == 3
    lines = builder.run("--progress", "plain", *secrets).stderr
    assert f"   {web}/file.txt: fetched 11.0 kB\n" in lines
    assert "hunter2-of-mine" not in lines
