"""A context that is an archive on a web server, in a cluster."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile

import pytest

from tests.cluster.objects import ObjectError, apply
from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, manifest, run_image
from tests.e2e.conftest import TINY
from tests.fixtures.servers.proxy import serving


@pytest.fixture
def release():
    """Serve a release; yields its URL and its checksum."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        text = f"FROM {TINY}\nCOPY Dockerfile /seen\nCMD cat /seen\n".encode()
        member = tarfile.TarInfo("app-1.2/Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    content = packed.getvalue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer((NODE_IP, 0), Handler)
    with serving(listener):
        url = f"http://{NODE_IP}:{listener.server_address[1]}/app.tar.gz"
        yield url, f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_an_archive_is_a_context(platform, namespace, release):
    url, checksum = release
    source = {"http": {"url": url, "checksum": checksum, "path": "app-1.2"}}
    status = build(namespace, "", source=source)
    assert status["phase"] == "Succeeded", status
    assert "COPY Dockerfile /seen" in run_image(namespace, status["image"])


def test_without_tls_there_must_be_a_checksum(platform, namespace, release):
    url, _ = release
    with pytest.raises(ObjectError, match=r"needs http\.checksum"):
        apply(manifest("", source={"http": {"url": url}}), namespace)
