"""A context that is an archive on a web server."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import uuid
from typing import Any

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.proxy import serving
from tests.fixtures.servers.registry import running_registry


def packed(mode: Any = "w:gz", **links: str) -> bytes:
    """Return an archive as releases are: all of it in one directory; with links, by name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, text in (
            ("app-1.2/Dockerfile", "FROM scratch\nCOPY motd /\n"),
            ("app-1.2/motd", "hello\n"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        for name, goal in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, goal
            archive.addfile(link)
    return content.getvalue()


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


@pytest.fixture
def serve():
    """Serve what is in a dictionary; yields it, and where."""
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(listener):
        yield files, f"http://127.0.0.1:{listener.server_address[1]}"


@pytest.fixture
def execute(serve, registry, tmp_path):
    files, url = serve

    def executed(content: bytes | None, **source) -> dict:
        if content is not None:
            files["/app.tar"] = content
        request = {
            "source": {"http": {"url": f"{url}/app.tar?token=in-the-query", **source}},
            "output": {"destinations": [f"{registry.host}/{uuid.uuid4().hex[:8]}:1"]},
            "registries": {"hosts": {registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
        }
        if content is not None:
            files["/app.tar?token=in-the-query"] = content
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words])
        assert "in-the-query" not in done.stdout + done.stderr
        return json.loads((tmp_path / "result.json").read_text())

    return executed


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_an_archive_is_a_context(execute, mode):
    content = packed(mode)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    result = execute(content, checksum=checksum, path="app-1.2")
    assert result["outcome"] == "Succeeded", result


def test_another_archive_than_the_checksum_says_is_not_unpacked(execute):
    result = execute(packed(), checksum=f"sha256:{'0' * 64}", path="app-1.2")
    assert result["reason"] == "SourceFetchFailed"
    assert "has the checksum" in result["message"]
    assert f"not sha256:{'0' * 64}" in result["message"]


@pytest.mark.parametrize("path", ["elsewhere", "app-1.2/motd", "out", "up"])
def test_a_path_is_a_directory_of_the_archive(execute, path):
    result = execute(packed(out="/etc", up="../.."), path=path)
    assert result["reason"] == "SourceFetchFailed"
    assert f"has no directory '{path}'" in result["message"]


@pytest.mark.parametrize(("content", "words"), [(None, "status 404"), (b"no archive", "cannot unpack")])
def test_what_is_no_archive(execute, content, words):
    result = execute(content)
    assert result["reason"] == "SourceFetchFailed"
    assert words in result["message"]
