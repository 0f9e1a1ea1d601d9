"""ADD of URLs and git refs after an earlier build: asked about, not added again unless they changed."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import dataclass, field

import pytest

from strake_builder.context.git.fetch import GitCommit, check_out, resolve_ref
from strake_builder.errors import SourceError
from tests.fixtures.building.cached_builds import Cached, flags_of, holds
from tests.fixtures.content.git_repository import repository

__all__ = ["repository"]


@dataclass
class Site:
    """One file behind every path.

    Attributes:
        url: of the server.
        content: what it sends.
        sent: how often it did.
    """

    url: str = ""
    content: bytes = b"one\n"
    sent: list[str] = field(default_factory=list)


@pytest.fixture
def site():
    served = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tag = f'"{hash(served.content)}"'
            if self.headers.get("If-None-Match") == tag:
                self.send_response(304)
                self.end_headers()
                return
            served.sent.append(self.path)
            self.send_response(200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(served.content)))
            self.end_headers()
            self.wfile.write(served.content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture(params=["directory", "repository"])
def cached(request, builder, tmp_path):
    return Cached(builder, flags_of(request.param, builder, tmp_path))


def test_a_url_that_did_not_change_is_cached(cached, site):
    cached.builder.context(f"FROM TINY\nADD {site.url}/file /f\nRUN cat /f > /g")
    first = cached.build()
    assert len(site.sent) == 1, "fetched once for the key and for the step"
    second = cached.build()
    assert (second.ran, second.digest) == ([], first.digest)
    assert len(site.sent) == (1 if "--cache-dir" in cached.flags else 2)


def test_a_url_that_changed_is_added_again(cached, site):
    cached.builder.context(f"FROM TINY\nRUN true\nADD {site.url}/file /f\nRUN cat /f > /g")
    cached.build()
    site.content = b"two\n"
    assert len(cached.build().ran) == 2
    assert holds(cached.builder, "/g", "two\n")


def test_a_url_with_a_checksum_is_not_asked_about(cached, site):
    digest = "sha256:" + hashlib.sha256(site.content).hexdigest()
    cached.builder.context(f"FROM TINY\nADD --checksum={digest} {site.url}/file /f")
    cached.build()
    before = len(site.sent)
    site.content = b"two\n"
    assert cached.build().ran == []
    assert len(site.sent) == before


def test_a_url_that_cannot_be_had_is_reported_with_its_line(cached):
    cached.builder.context("FROM TINY\nADD http://127.0.0.1:1/file /f")
    failed = cached.build()
    assert failed.status == 4
    assert (failed.result["line"], failed.result["reason"]) == (2, "SourceFetchFailed")


def test_a_branch_that_did_not_move_is_cached(cached, repository):
    cached.builder.context(f"FROM TINY\nADD {repository.url}#main /src/")
    first = cached.build()
    second = cached.build()
    assert (second.ran, second.digest) == ([], first.digest)
    repository.commit(readme="second\n")
    assert len(cached.build().ran) == 1
    assert holds(cached.builder, "/src/readme", "second\n")


def test_refs_mean_what_git_means_by_them(repository):
    first = repository.commit()
    repository.git("tag", "-a", "-m", "note", "v1")
    repository.git("branch", "v2")
    second = repository.commit(readme="second\n")
    repository.git("tag", "v2")

    def resolved(ref: str) -> str:
        return resolve_ref(GitCommit(repository.url, ref))

    assert resolved("main") == resolved("HEAD") == resolved("") == second
    assert resolved("v1") == resolved("refs/tags/v1") == first, "an annotated tag is the commit it is of"
    assert resolved("v2") == first, "a branch goes before a tag"
    assert resolved("refs/heads/v2") == resolved("heads/v2") == first
    assert resolved("refs/tags/v2") == resolved("tags/v2") == second
    assert resolved(first) == first
    for nothing in ("mai", "none"):
        with pytest.raises(SourceError, match="no branch or tag"):
            resolved(nothing)


@pytest.mark.parametrize(
    "ref", ["*", "main*", "main:refs/heads/x", "main~1", "v1^{}", "a b", "a..b", "-x", "a\n"]
)
def test_what_names_no_ref_is_not_asked_for(repository, tmp_path, ref):
    """A pattern would fetch all branches, of which the first is checked out."""
    for ask in (resolve_ref, lambda wanted: check_out(wanted, str(tmp_path))):
        with pytest.raises(SourceError, match="is not a git ref"):
            ask(GitCommit(repository.url, ref))


@pytest.mark.parametrize("url", ["--upload-pack=touch /tmp/x", "ext::sh -c true", "file:///etc"])
def test_resolving_cannot_command_git(url):
    with pytest.raises(SourceError):
        resolve_ref(GitCommit(url, "main"))
    with pytest.raises(SourceError):
        resolve_ref(GitCommit("https://git.example/a", "--upload-pack=x"))
