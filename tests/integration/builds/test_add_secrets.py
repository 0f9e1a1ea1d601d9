"""Secrets that open what ADD fetches: each goes to the host in its name, and nowhere else."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.git_server import running_git_server
from tests.fixtures.servers.proxy import serving

TOKEN = "s3cret-t0ken"
TOLD = "Bearer " + TOKEN


class Web(http.server.ThreadingHTTPServer):
    """Serves one file to who has the right header, and notes what it was shown."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.right: str | None = TOLD
        self.redirect = ""
        self.seen: list[str | None] = []

    def url(self, host: str = "localhost") -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://{host}:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        told = self.headers.get("Authorization")
        self.server.seen.append(told)
        code = 302 if self.server.redirect else 200 if self.server.right in {told, None} else 401
        content = b"private\n" if code == 200 else b""
        self.send_response(code)
        if code == 302:
            self.send_header("Location", self.server.redirect)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def over_tls(certificates):
    listener = Web()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    with serving(listener):
        yield listener


@pytest.fixture
def web(certificates):
    with over_tls(certificates) as listener:
        yield listener


@pytest.fixture
def other(certificates):
    with over_tls(certificates) as listener:
        listener.right = None
        yield listener


@pytest.fixture
def clear():
    listener = Web()
    listener.right = None
    with serving(listener):
        yield listener


@pytest.fixture
def build(tmp_path, certificates):
    def run(dockerfile: str, *flags: str, **secrets: str) -> subprocess.CompletedProcess[str]:
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(dockerfile)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = [STRAKE, "build", "-c", context, "-o", tmp_path / "out", *flags]
        variables = {"PATH": os.environ["PATH"], "GIT_SSL_CAINFO": str(certificates.ca)}
        variables["SSL_CERT_FILE"] = str(certificates.ca)
        for number, (name, value) in enumerate(secrets.items()):
            command += ["--secret", f"id={name},env=SECRET{number}"]
            variables[f"SECRET{number}"] = value
        done = run_strake(command, variables)
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("HTTP_AUTH_TOKEN_localhost", TOKEN + "\n"),
        ("HTTP_AUTH_TOKEN_LocalHost", TOKEN),
        ("HTTP_AUTH_HEADER_localhost", TOLD),
    ],
)
def test_a_url_is_opened_by_the_secret_of_its_host(build, web, tmp_path, secret, value):
    done = build(f"FROM scratch\nADD {web.url()}/file /\n", **{secret: value})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/file").read_text() == "private\n"


@pytest.mark.parametrize("secrets", [{}, {"HTTP_AUTH_TOKEN_example.com": TOKEN}, {"HTTP_AUTH_TOKEN_": TOKEN}])
def test_the_error_names_the_secret_that_is_missing(build, web, secrets):
    done = build(f"FROM scratch\nADD {web.url()}/file /\n", **secrets)
    assert done.returncode == 4
    assert "answered with status 401" in done.stderr
    assert "HTTP_AUTH_TOKEN_localhost" in done.stderr
    assert set(web.seen) == {None}


def test_a_server_that_is_redirected_to_gets_none(build, web, other, tmp_path):
    web.redirect = f"{other.url()}/file"
    done = build(f"FROM scratch\nADD {web.url()}/moved /file\n", HTTP_AUTH_TOKEN_localhost=TOKEN)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/file").read_text() == "private\n"
    assert (web.seen, other.seen) == ([TOLD], [None])


def test_plain_http_gets_none_and_the_build_tells(build, clear):
    done = build(f"FROM scratch\nADD {clear.url()}/file /\n", HTTP_AUTH_TOKEN_localhost=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "HTTP_AUTH_TOKEN_localhost is not sent over plain HTTP" in done.stderr
    assert clear.seen == [None]


@pytest.mark.parametrize("value", ["", "two\nlines", "nul\x7f", "\N{SNOWMAN}"])
def test_a_secret_that_is_no_header_is_refused(build, web, value):
    done = build(f"FROM scratch\nADD {web.url()}/file /\n", HTTP_AUTH_TOKEN_localhost=value)
    assert done.returncode != 0
    assert "the secret HTTP_AUTH_TOKEN_localhost is no line of printable ASCII" in done.stderr
    assert "Traceback" not in done.stderr
    assert web.seen == []


@pytest.fixture
def git(tmp_path, certificates):
    with running_git_server(tmp_path / "repositories", certificates, TOKEN) as running:
        running.commit("app.git", hello="private\n")
        yield running


@pytest.mark.parametrize("line", ["ADD {url} /app", "ADD --keep-git-dir {url} /app"])
def test_a_repository_is_opened_by_the_token_of_its_host(build, git, tmp_path, line):
    secret = f"GIT_AUTH_TOKEN.{git.host}"
    done = build("FROM scratch\n" + line.format(url=git.url("app.git")), **{secret: TOKEN})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/app/hello").read_text() == "private\n"
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("secret", "words"),
    [("GIT_AUTH_TOKEN", "names no host, and is not sent to"), ("GIT_AUTH_TOKEN.example.com", "")],
)
def test_a_server_that_no_secret_names_gets_none(build, git, secret, words):
    done = build(f"FROM scratch\nADD {git.url('app.git')} /app\n", **{secret: TOKEN})
    assert done.returncode == 4
    assert words in done.stderr
    assert not any(TOKEN in each for each in git.seen)


def test_a_cache_hit_needs_the_secret_to_know_it(build, web, tmp_path):
    """What a private URL has is nobody's who cannot read it."""
    dockerfile, cache = f"FROM scratch\nADD {web.url()}/file /\n", Path(tmp_path / "cache")
    assert build(dockerfile, "--cache-dir", cache, HTTP_AUTH_TOKEN_localhost=TOKEN).returncode == 0
    assert build(dockerfile, "--cache-dir", cache).returncode == 4
