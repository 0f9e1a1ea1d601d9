"""What kaniko takes from servers besides contexts: a Dockerfile, and a repository whose certificate nobody signed."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.proxy import serving
from tests.fixtures.servers.web import make_repository, running_web_server


@pytest.fixture
def server(certificates, tmp_path):
    (tmp_path / "served").mkdir()
    with running_web_server(tmp_path / "served", certificates) as running:
        yield running


@pytest.fixture
def build(tmp_path):
    (tmp_path / "context").mkdir()
    (tmp_path / "context/file").write_text("from the context")

    def run(*flags, **variables):
        command = [STRAKE, "build", "--work-dir", tmp_path / "work", "-o", tmp_path / "out", *flags]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        return run_strake(command, environment, 180)

    return run


class TestDockerfile:
    def test_at_a_url(self, build, server, certificates, tmp_path):
        (tmp_path / "served/Dockerfile").write_text("FROM scratch\nCOPY file /\n")
        url = f"{server.url}/Dockerfile?token=hidden"
        done = build("-c", tmp_path / "context", "-f", url, SSL_CERT_FILE=str(certificates.ca))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out/file").read_text() == "from the context"

    @pytest.mark.parametrize(
        ("content", "flags", "expected"),
        [
            (None, [], (4, "answered with status 404")),
            (b"\xff\xfe", [], (4, "is no text")),
            (b"x" * (2 << 20), [], (4, "is larger than 1 MiB")),
            (b"FROM scratch\nCOPPY a b\n", [], (3, "/Dockerfile:2")),
            (
                b"FROM scratch\n",
                ["--deny-network=127.0.0.0/8", "--deny-network=::1/128"],
                (4, "may not reach"),
            ),
        ],
    )
    def test_that_cannot_be_had(self, build, server, certificates, tmp_path, content, flags, expected):
        if content is not None:
            (tmp_path / "served/Dockerfile").write_bytes(content)
        url = f"{server.url}/Dockerfile?token=hidden"
        done = build("-c", tmp_path / "context", "-f", url, *flags, SSL_CERT_FILE=str(certificates.ca))
        assert done.returncode == expected[0], done.stderr
        assert expected[1] in done.stderr
        assert "hidden" not in done.stderr


class TestCertificates:
    @pytest.fixture
    def repository(self, server, tmp_path):
        make_repository(tmp_path / "served/app", Dockerfile="FROM scratch\nCOPY file /\n", file="of a commit")
        return f"git+{server.url}/app/.git"

    def test_that_nobody_signed_are_refused(self, build, repository):
        done = build("-c", repository)
        assert done.returncode == 4
        assert "certificate" in done.stderr

    @pytest.mark.parametrize("networks", [[], ["--deny-network=10.0.0.0/8"]])
    def test_may_be_accepted_for_the_repository(self, build, repository, tmp_path, networks):
        done = build("-c", repository, "--git=insecure-skip-tls=true", *networks)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out/file").read_text() == "of a commit"
        assert (
            "--git insecure-skip-tls: any server in between may send another context and read passwords"
            in done.stderr
        )

    def test_of_other_servers_count(self, build, repository, tmp_path):
        (tmp_path / "other").mkdir()
        (tmp_path / "certificates").mkdir()
        make_repository(tmp_path / "other/lib", file="of a library")
        others = make_certificates(tmp_path / "certificates")
        with running_web_server(tmp_path / "other", others) as other:
            work = tmp_path / "served/app"
            git = ["git", "-c", "http.sslVerify=false", "-c", "user.name=t", "-c", "user.email=t@example.org"]
            add = [*git, "submodule", "add", f"{other.url}/lib/.git", "lib"]
            subprocess.run(add, cwd=work, check=True, capture_output=True)
            subprocess.run([*git, "commit", "-qm", "two"], cwd=work, check=True, capture_output=True)
            done = build("-c", repository, "--git=insecure-skip-tls=true")
            assert done.returncode == 4, done.stderr
            assert "certificate" in done.stderr
            without = build("-c", repository, "--git=insecure-skip-tls=true,recurse-submodules=false")
            assert without.returncode == 0, without.stderr


class TestDigests:
    """kaniko sends them to URLs that a bucket signed, so that a pod needs no volume."""

    @pytest.fixture
    def bucket(self, certificates):
        taken: dict[str, tuple[str, str]] = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                is_signed = self.path.endswith("?sig=hidden")
                if is_signed:
                    taken[self.path.partition("?")[0]] = (self.headers["Content-Type"], body)
                self.send_response(200 if is_signed else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.server_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with serving(server):
            yield f"https://localhost:{server.server_address[1]}", taken

    def test_go_to_a_url(self, build, bucket, certificates, tmp_path):
        url, taken = bucket
        (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY file /\n")
        name = "r.example/app:1"
        flags = ["-d", name, "--no-push", f"--image-name-tag-with-digest-file={url}/name?sig=hidden"]
        done = build(
            *("-c", tmp_path / "context", f"--digest-file={url}/digest?sig=hidden", *flags),
            SSL_CERT_FILE=str(certificates.ca),
        )
        assert done.returncode == 0, done.stderr
        digest = taken["/digest"][1]
        assert taken == {
            "/digest": ("text/plain", digest),
            "/name": ("text/plain", f"{name}@{digest}\n"),
        }
        assert digest.startswith("sha256:")

    @pytest.mark.parametrize(
        ("flags", "words"),
        [(["--deny-network=127.0.0.0/8", "--deny-network=::1/128"], "may not reach"), ([], "status 403")],
    )
    def test_that_are_not_taken(self, build, bucket, certificates, tmp_path, flags, words):
        url, taken = bucket
        (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY file /\n")
        signed = f"{url}/digest?sig={'hidden' if flags else 'stale'}"
        done = build(
            *("-c", tmp_path / "context", f"--digest-file={signed}", *flags),
            SSL_CERT_FILE=str(certificates.ca),
        )
        assert done.returncode != 0
        assert words in done.stderr
        assert "sig=" not in done.stderr
        assert taken == {}
