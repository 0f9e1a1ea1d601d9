"""Whom a password reaches: Secrets of other applications, registries without TLS, planted requests."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.git_server import running_git_server
from tests.fixtures.servers.registry import running_registry

PASSWORD = "s3cret-of-another"
TRUSTING = Path(__file__).with_name("trusting.py")
"""`strake` as it would be without a check, whose name comes first on its command line."""


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    """A git server of the attacker's, with a certificate that the builder trusts."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"))
    with running_git_server(tmp_path_factory.mktemp("repositories"), made, PASSWORD) as server:
        server.commit("app", Dockerfile="NONSENSE\n")  # the build ends when it was fetched
        yield server


def execute(folder: Path, request: dict, *flags: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """Carry a request out, by the real builder or by one without a check."""
    (folder / "request.json").write_text(json.dumps(request))
    program = [sys.executable, str(TRUSTING), without] if without else [str(STRAKE)]
    command = [*program, "execute", "--request", str(folder / "request.json"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


SECRETS = {
    "no word about a server": {"password": PASSWORD},
    "a database": {"password": PASSWORD, "username": "app", "host": "db.internal", "port": "5432"},
    "another git server": {"password": PASSWORD, "host": "github.com"},
    "a server whose name begins so": {"password": PASSWORD, "host": "localhost.example"},
    "the same server on another port": {"password": PASSWORD, "host": "localhost:1"},
    "a pattern": {"password": PASSWORD, "host": "*"},
    "an empty word": {"password": PASSWORD, "host": " "},
}


def stolen(git, folder: Path, secret: dict[str, str], *, without: str = "") -> bool:
    (folder / "secret").mkdir()
    (folder / "work").mkdir()
    for name, content in secret.items():
        (folder / "secret" / name).write_text(content)
    request = {
        "source": {"git": {"url": git.url("app"), "credentials": str(folder / "secret")}},
        "output": {"destinations": ["localhost:9/app:1"], "skipPushPermissionCheck": True},
        "ca": git.ca,
        "workDirectory": str(folder / "work"),
    }
    before = len(git.seen)
    execute(folder, request, without=without)
    return any(PASSWORD in each for each in git.seen[before:])


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_of_another_application_is_sent_to_no_server(git, tmp_path, name):
    assert not stolen(git, tmp_path, SECRETS[name])


@pytest.mark.parametrize("name", SECRETS)
def test_it_is_by_a_builder_that_asks_nobody(git, tmp_path, name):
    assert stolen(git, tmp_path, SECRETS[name], without="hosts")


@pytest.fixture(scope="module")
def registry():
    """A registry that asks for a password over plain HTTP, on an address that is not loopback's."""
    with running_registry(htpasswd={"pusher": PASSWORD}) as running:
        yield running


KINDS = {
    "a password": {"auth": base64.b64encode(f"pusher:{PASSWORD}".encode()).decode()},
    "a password that is spelled out": {"username": "pusher", "password": PASSWORD},
}


def pushed(registry, folder: Path, entry: dict[str, str], *, without: str = "") -> bool:
    """Push to a name that tells nothing of this machine; return whether the password was sent."""
    (folder / "push").mkdir()
    (folder / "work").mkdir()
    host = f"registry.internal:{registry.host.rpartition(':')[2]}"
    (folder / "push/config.json").write_text(json.dumps({"auths": {host: entry}}))
    request = {
        "source": {"inline": {"files": {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}}},
        "output": {"destinations": [f"{host}/app:1"]},
        "registries": {"pushConfig": str(folder / "push/config.json"), "hosts": {host: {"insecure": True}}},
        "workDirectory": str(folder / "work"),
    }
    before = len(registry.requests())
    done = execute(folder, request, without=without or "names")
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode == 0 and len(registry.requests()) > before


@pytest.mark.parametrize("kind", KINDS)
def test_a_password_does_not_go_over_plain_http(registry, tmp_path, kind):
    assert not pushed(registry, tmp_path, KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_where_everything_is_sent(registry, tmp_path, kind):
    assert pushed(registry, tmp_path, KINDS[kind], without="names,clear")


PLANTED = {
    "another Dockerfile": {"Dockerfile": "EVIL\n"},
    "the same with a line more": {"Dockerfile": "FROM scratch\nEVIL\n"},
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("checked", [True, False])
def test_a_planted_request_is_not_carried_out(tmp_path, name, checked):
    """Without the digest that the operator gives with it, it would be."""
    honest = request(tmp_path, {"Dockerfile": "FROM scratch\n"})
    digest = f"sha256:{hashlib.sha256(json.dumps(honest).encode()).hexdigest()}"
    flags = [f"--request-digest={digest}"] if checked else []
    (tmp_path / "work").mkdir()
    done = execute(tmp_path, request(tmp_path, PLANTED[name]), *flags)
    assert ("is not the one" in done.stderr) is checked
    assert ("EVIL" in done.stderr) is not checked


def request(folder: Path, files: dict[str, str]) -> dict:
    return {
        "source": {"inline": {"files": files}},
        "output": {"destinations": ["localhost:9/app:1"], "skipPushPermissionCheck": True},
        "workDirectory": str(folder / "work"),
    }
