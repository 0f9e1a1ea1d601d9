"""ADD of a git URL, and submodules, are fetched as nobody: the machine's user may have keys for the server."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.git_server import running_git_server

PASSWORD = "developers-own"


@pytest.fixture
def server(tmp_path, certificates):
    with running_git_server(tmp_path / "repositories", certificates, PASSWORD) as running:
        running.commit("app", secret="of the developer\n", Dockerfile="FROM scratch\nCOPY secret /\n")
        yield running


def netrc(home: Path, server) -> None:
    (home / ".netrc").write_text(f"default login dev password {PASSWORD}\n")


def credential_store(home: Path, server) -> None:
    (home / ".git-credentials").write_text(f"https://dev:{PASSWORD}@{server.host}\n")
    (home / ".gitconfig").write_text("[credential]\nhelper = store\n")


def other_configuration_directory(home: Path, server) -> None:
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/config").write_text("[credential]\nhelper = store\n")
    (home / ".config/git/credentials").write_text(f"https://dev:{PASSWORD}@{server.host}\n")


def rewritten_url(home: Path, server) -> None:
    secret = f"https://dev:{PASSWORD}@{server.host}/"
    (home / ".gitconfig").write_text(f'[url "{secret}"]\ninsteadOf = https://{server.host}/\n')


def header(home: Path, server) -> None:
    basic = "ZGV2OmRldmVsb3BlcnMtb3du"
    (home / ".gitconfig").write_text(f"[http]\nextraHeader = Authorization: Basic {basic}\n")


IDENTITIES = [netrc, credential_store, other_configuration_directory, rewritten_url, header]


@pytest.fixture(params=IDENTITIES, ids=lambda one: one.__name__)
def build(request, tmp_path, server, certificates):
    """Build as a user who has an identity for the server."""
    home = tmp_path / "home"
    home.mkdir()
    request.param(home, server)

    def run(*flags: str | Path) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = [STRAKE, "build", "--work-dir", tmp_path / "work", "-o", tmp_path / "out", *flags]
        variables = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_SSL_CAINFO": str(certificates.ca)}
        done = run_strake(command, variables)
        assert PASSWORD not in done.stdout + done.stderr
        return done

    return run


def test_add_is_nobody(build, server, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM scratch\nADD {server.url('app')}.git /app\n")
    (server.root / "app.git").symlink_to("app")
    done = build("-c", context)
    assert done.returncode in {4, 6}, done.stderr
    assert server.seen
    assert not [seen for seen in server.seen if PASSWORD in seen]


def test_a_context_that_the_user_names_is_the_users(build, server, tmp_path):
    """And so the identities above are such that work."""
    done = build("-c", f"git+{server.url('app')}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/secret").read_text() == "of the developer\n"


def test_a_submodule_is_nobodys(build, server, tmp_path):
    server.git(server.root / "app", "config", "-f", ".gitmodules", "submodule.x.path", "x")
    server.git(
        server.root / "app", "config", "-f", ".gitmodules", "submodule.x.url", f"{server.url('other')}"
    )
    server.commit("other", file="1")
    revision = server.git(server.root / "other", "rev-parse", "HEAD")
    server.git(server.root / "app", "update-index", "--add", "--cacheinfo", f"160000,{revision},x")
    server.git(server.root / "app", "add", ".gitmodules")
    server.git(server.root / "app", "commit", "-qm", "a submodule of somebody")
    done = build("-c", f"git+{server.url('app')}")
    assert done.returncode == 4, done.stderr


def test_an_ssh_server_is_offered_no_key(tmp_path):
    """What ssh would do is asked of ssh itself, as it is started."""
    programs, context = tmp_path / "bin", tmp_path / "context"
    programs.mkdir()
    context.mkdir()
    record = programs / "ssh"
    record.write_text(f'#!/bin/sh\n/usr/bin/ssh -G "$@" > {tmp_path}/options\nexit 1\n')
    record.chmod(record.stat().st_mode | stat.S_IXUSR)
    (context / "Dockerfile").write_text("FROM scratch\nADD git@git.invalid:team/app.git /app\n")
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": "/root",
        "SSH_AUTH_SOCK": f"{tmp_path}/agent",
    }
    command = [STRAKE, "build", "--work-dir", tmp_path / "work", "-o", tmp_path / "out", "-c", context]
    done = run_strake(command, variables)
    assert done.returncode in {4, 6}
    options = dict(
        line.split(" ", 1) for line in (tmp_path / "options").read_text().splitlines() if " " in line
    )
    assert options["identityfile"] == "none"
    assert options["identityagent"] == "none"
    assert options["identitiesonly"] == "yes"
    assert options["batchmode"] == "yes"
    assert options["gssapiauthentication"] == "no"


def test_add_of_a_url_takes_nothing_of_netrc(tmp_path, server, certificates):
    (tmp_path / ".netrc").write_text(f"default login dev password {PASSWORD}\n")
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM scratch\nADD {server.url('file.txt')} /\n")
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSL_CERT_FILE": str(certificates.ca)}
    command = [STRAKE, "build", "--work-dir", tmp_path / "work", "-o", tmp_path / "out", "-c", context]
    done = run_strake(command, variables)
    assert "401" in done.stderr
    assert server.seen == [""]
