"""git where networks are denied: what is open works as before, through a proxy of the build's own."""

from __future__ import annotations

import os
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strake_builder.context.git.credentials import GitCredentials
from strake_builder.context.git.fetch import GitCommit, check_out, resolve_ref
from strake_builder.errors import SourceError
from strake_oci.http.denied_networks import DeniedNetworks
from tests.fixtures.content.git_repository import repository
from tests.fixtures.servers.git_server import answer_with_git, running_git_server
from tests.fixtures.servers.proxy import running_proxy, serving

__all__ = ["repository"]

PASSWORD = "of-the-build"
FAR = DeniedNetworks.parse(["169.254.0.0/16", "127.0.0.3/32"])
"""A list that leaves the servers of these tests open."""


class _Plain(BaseHTTPRequestHandler):
    """Git over HTTP without TLS and password."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer_with_git(self, self.server.root)  # type: ignore[attr-defined] # set by the fixture

    do_POST = do_GET  # noqa: N815 - the name that http.server wants

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path, certificates, monkeypatch):
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificates.ca))
    with running_git_server(tmp_path / "repositories", certificates, PASSWORD) as running:
        running.commit("app", readme="one\n")
        yield running


@pytest.fixture
def plain(server):
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Plain)
    listener.daemon_threads = True
    listener.root = server.root  # type: ignore[attr-defined] # where the handler looks
    with serving(listener):
        yield f"http://127.0.0.1:{listener.server_address[1]}"


@pytest.fixture
def tree(tmp_path):
    made = tmp_path / "tree"
    made.mkdir()
    return made


def commit(url, **options):
    credentials = GitCredentials("user", PASSWORD)
    return GitCommit(url, "main", credentials=credentials, networks=FAR, own_identity=True, **options)


def test_https_with_a_password(server, tree):
    revision = server.git(server.root / "app", "rev-parse", "HEAD")
    assert check_out(commit(server.url("app")), str(tree)) == revision
    assert (tree / "readme").read_text() == "one\n"


def test_plain_http_and_a_full_hash(server, plain, tree):
    revision = server.git(server.root / "app", "rev-parse", "HEAD")
    assert resolve_ref(GitCommit(f"{plain}/app", "main", networks=FAR)) == revision
    assert check_out(GitCommit(f"{plain}/app", revision, networks=FAR), str(tree)) == revision


def test_a_repository_that_is_larger_than_a_piece(server, plain, tree):
    content = os.urandom(3_000_000).hex()
    server.commit("app", large=content)
    check_out(GitCommit(f"{plain}/app", "main", networks=FAR), str(tree))
    assert (tree / "large").read_text() == content


def test_submodules_of_two_servers(server, plain, tree):
    """Of one request to the next git may want another server over the same connection."""
    library = server.commit("library", code="x\n")
    url = f"{plain.replace('127.0.0.1', 'localhost')}/library"
    parent = server.root / "app"
    (parent / ".gitmodules").write_text(f'[submodule "l"]\npath = l\nurl = {url}\n')
    server.git(parent, "add", ".")
    server.git(parent, "update-index", "--add", "--cacheinfo", f"160000,{library},l")
    server.git(parent, "commit", "-qm", "with a submodule")
    check_out(GitCommit(f"{plain}/app", "main", networks=FAR), str(tree))
    assert (tree / "l/code").read_text() == "x\n"


def test_git_protocol(repository, tree):
    revision = repository.commit()
    assert resolve_ref(GitCommit(repository.url, "main", networks=FAR)) == revision
    assert check_out(GitCommit(repository.url, "main", networks=FAR), str(tree)) == revision


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_of_the_environment_is_asked(server, plain, tree, monkeypatch, scheme):
    """It knows the name; nothing here does."""
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        port = (server.host if scheme == "https" else plain).rpartition(":")[2]
        with pytest.raises(
            SourceError
        ):  # the certificate has another name, and that proxy knows CONNECT alone
            check_out(commit(f"{scheme}://git.example:{port}/app"), str(tree))
        assert any("git.example" in each for each in proxy.asked)


def test_a_proxy_is_not_asked_for_an_address_that_is_denied(tree, monkeypatch):
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(SourceError, match=r"169\.254\.0\.0/16") as caught:
            check_out(GitCommit("http://169.254.169.254/latest", networks=FAR), str(tree))
        assert proxy.asked == []
    assert "STRAKE_ALLOW_NETWORKS" in caught.value.hint


def test_a_name_that_does_not_resolve(tree):
    with pytest.raises(SourceError, match=r"none\.invalid: the host name does not resolve"):
        check_out(GitCommit("https://none.invalid/app", networks=FAR), str(tree))


def test_what_is_shown_has_no_password(tree):
    with pytest.raises(SourceError) as caught:
        check_out(GitCommit("http://user:hidden@127.0.0.3:9/app", networks=FAR), str(tree))
    assert "127.0.0.3" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_only_the_tree_can_be_written_to(repository, tree, monkeypatch):
    """As in a pod's container that fetches: its root is read-only, and it has no directory for temporary files."""

    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    check_out(GitCommit(repository.url, "main", networks=FAR), str(tree))
    assert (tree / "readme").read_text() == "first\n"


def test_no_thread_and_no_file_stays(plain, tree):
    check_out(GitCommit(f"{plain}/app", "main", networks=FAR), str(tree))
    assert not list(tree.rglob("strake-git-*"))
    for each in threading.enumerate():
        if each.name == "git-proxy":
            each.join(5)
            assert not each.is_alive()
