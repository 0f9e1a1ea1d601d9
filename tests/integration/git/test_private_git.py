"""Private repositories: the credentials reach the server that the build names, and nobody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.git_server import running_git_server

STRAKE = Path(sys.executable).parent / "strake"
PASSWORD = "correct horse $(touch /tmp/pwned) \"battery' `staple`"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(tmp_path, certificates):
    with running_git_server(tmp_path / "repositories", certificates, PASSWORD) as running:
        yield running


@pytest.fixture
def other(tmp_path, certificates):
    """A server that a stranger keeps."""
    with running_git_server(tmp_path / "others", certificates, "what nobody knows") as running:
        yield running


@pytest.fixture
def build(tmp_path, certificates):
    def run(url: str, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        command = [STRAKE, "build", "-c", f"git+{url}", "--work-dir", work, "-o", tmp_path / "out", *flags]
        variables = {"PATH": os.environ["PATH"], "GIT_SSL_CAINFO": str(certificates.ca), **variables}
        done = run_strake(command, variables)
        assert PASSWORD not in done.stdout + done.stderr
        assert list(work.iterdir()) == []
        return done

    return run


@pytest.mark.parametrize(
    ("variables", "user"),
    [
        ({"GIT_TOKEN": PASSWORD}, "x-access-token"),
        ({"GIT_USERNAME": "me", "GIT_PASSWORD": PASSWORD}, "me"),
        ({"GIT_USERNAME": "me", "GIT_TOKEN": PASSWORD, "GIT_PASSWORD": "old"}, "me"),
    ],
)
def test_variables_open_a_private_repository(server, build, tmp_path, variables, user):
    server.commit("app", Dockerfile="FROM scratch\nCOPY hello /\n", hello="private\n")
    done = build(server.url("app"), **variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/hello").read_text() == "private\n"
    assert f"{user}:{PASSWORD}" in server.seen
    assert not Path("/tmp/pwned").exists()


@pytest.mark.parametrize("variables", [{}, {"GIT_TOKEN": "wrong"}])
def test_without_the_right_ones_the_error_says_what_to_check(server, build, variables):
    server.commit("app", Dockerfile="FROM scratch\n")
    done = build(server.url("app"), **variables)
    assert done.returncode == 4
    assert "check the URL, the ref and the credentials" in done.stderr


def test_nothing_of_them_is_in_the_image_or_the_context(server, build, tmp_path):
    server.commit("app", Dockerfile="FROM scratch\nCOPY . /c/\n")
    assert build(server.url("app"), GIT_TOKEN=PASSWORD).returncode == 0
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()


def test_a_submodule_of_the_same_server_is_opened_too(server, build, tmp_path):
    server.commit("library", code="shared\n")
    work = server.root / "app"
    server.commit("app", Dockerfile="FROM scratch\nCOPY library/code /\n")
    server.git(work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", "../library", "library")
    server.git(work, "config", "-f", ".gitmodules", "submodule.library.url", server.url("library"))
    server.commit("app")
    done = build(server.url("app"), GIT_TOKEN=PASSWORD)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/code").read_text() == "shared\n"


def test_a_submodule_elsewhere_does_not_get_them(server, other, build):
    other.commit("trap", bait="x\n")
    work = server.root / "app"
    server.commit("app", Dockerfile="FROM scratch\n")
    trap = str(other.root / "trap")
    server.git(work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", trap, "trap")
    server.git(work, "config", "-f", ".gitmodules", "submodule.trap.url", other.url("trap"))
    server.commit("app")
    assert build(server.url("app"), GIT_TOKEN=PASSWORD).returncode == 4
    assert other.seen
    assert not any(PASSWORD in each for each in other.seen)


def test_nor_does_a_server_that_is_redirected_to(server, other, build):
    server.redirect = f"https://{other.host}"
    build(server.url("app"), GIT_TOKEN=PASSWORD)
    assert other.seen
    assert not any(PASSWORD in each for each in other.seen)


def test_a_mounted_secret_opens_it_in_a_pod(server, tmp_path, certificates):
    server.commit("app", Dockerfile="FROM scratch\nCOPY . /\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/password").write_text(PASSWORD + "\n")
    (tmp_path / "secret/host").write_text(server.host)
    (tmp_path / "work").mkdir()
    request = {
        "source": {"git": {"url": server.url("app"), "credentials": str(tmp_path / "secret")}},
        "output": {"destinations": ["localhost:9/app:1"], "skipPushPermissionCheck": True},
        "ca": certificates.ca.read_text(),
        "workDirectory": str(tmp_path / "work"),
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [STRAKE, "execute", "--request", tmp_path / "request.json", "--log-format=json"]
    done = run_strake(command)
    assert "cannot push" in done.stderr + done.stdout, done.stderr  # the source was there
    assert f"x-access-token:{PASSWORD}" in server.seen
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("host", [None, "db.internal:5432"], ids=str)
def test_a_secret_of_another_application_is_sent_nowhere(server, tmp_path, certificates, host):
    """Who writes an ImageBuild may name any Secret of the namespace, and a server of their own."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/password").write_text(PASSWORD)
    if host is not None:
        (tmp_path / "secret/host").write_text(host)
    request = {
        "source": {"git": {"url": server.url("app"), "credentials": str(tmp_path / "secret")}},
        "output": {"destinations": ["localhost:9/app:1"], "skipPushPermissionCheck": True},
        "ca": certificates.ca.read_text(),
        "workDirectory": str(tmp_path),
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [STRAKE, "execute", "--request", tmp_path / "request.json"]
    done = run_strake(command)
    assert done.returncode == 2
    assert "`host`" in done.stderr
    assert PASSWORD not in done.stderr
    assert server.seen == []


@pytest.mark.parametrize("token", ["two\nlines", "a\rb"])
def test_more_than_one_line_is_refused(server, build, token):
    done = build(server.url("app"), GIT_TOKEN=token)
    assert done.returncode == 2
    assert "more than one line" in done.stderr


@pytest.fixture
def pod(tmp_path, certificates, builder):
    """Run a command of a builder pod on one request; the Secret is there for the first alone."""
    secret, source = tmp_path / "secret", tmp_path / "source"
    secret.mkdir()
    source.mkdir()

    def run(command: str, url: str, lib: str = "", **git: str) -> tuple[int, dict]:
        named = {"url": url, "credentials": str(secret), "fetched": str(source), **git}
        library = {**named, "url": lib, "fetched": str(source / "context-0")}
        request = {
            "source": {"git": named},
            "contexts": [{"name": "lib", "source": {"git": library}}] if lib else [],
            "output": {"destinations": [builder.destination]},
            "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
            "ca": certificates.ca.read_text(),
            "workDirectory": str(tmp_path / "work"),
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = [
            STRAKE,
            command,
            "--request",
            tmp_path / "request.json",
            "--result",
            tmp_path / "result.json",
        ]
        variables = {"PATH": os.environ["PATH"]}
        done = run_strake(words, variables)
        assert PASSWORD not in done.stdout + done.stderr
        result = tmp_path / "result.json"
        return done.returncode, json.loads(result.read_text()) if result.exists() else {}

    return run, secret, source


def _open(secret: Path, url: str) -> None:
    (secret / "username").write_text("me")
    (secret / "password").write_text(PASSWORD)
    (secret / "host").write_text(url.split("/")[2])


def test_a_source_that_was_fetched_apart_needs_no_secret_in_the_builder(server, pod):
    run, secret, source = pod
    server.commit("app", Dockerfile="FROM scratch\nCOPY hello /\nCOPY --from=lib more /\n", hello="private\n")
    server.commit("lib", more="more\n")
    url, lib = server.url("app"), server.url("lib")
    _open(secret, url)
    assert run("fetch", url, lib) == (0, {})
    assert (source / "tree/hello").read_text() == "private\n"
    assert (source / "context-0/tree/more").read_text() == "more\n"
    shutil.rmtree(secret)
    server.seen.clear()
    _, result = run("execute", url, lib)
    assert result["sourceRevision"] == (source / "revision").read_text()
    assert result["outcome"] == "Succeeded"
    assert not server.seen


def test_a_fetch_that_fails_leaves_the_result_that_the_builder_would(server, pod):
    run, secret, _ = pod
    server.commit("app", Dockerfile="FROM scratch\n")
    url = server.url("app")
    _open(secret, url)
    status, result = run("fetch", url, ref="nothing")
    assert (status, result["reason"]) == (4, "SourceFetchFailed")
    (secret / "host").write_text("elsewhere.example")
    status, result = run("fetch", url)
    assert (status, result["reason"]) == (2, "InvalidRequest")
    assert "is not for" in result["message"]


def test_a_builder_whose_source_is_not_there_says_so(server, pod):
    run, _, _ = pod
    _, result = run("execute", server.url("app"))
    assert result["reason"] == "SourceFetchFailed"
    assert "the source is not in" in result["message"]
