"""The forms of --context, with kaniko's flags that belong to it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from strake_api.models.source import (
    ArchiveSource,
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    OCISource,
)
from strake_builder.cli.commands import build
from strake_builder.cli.contexts.sources import context_of
from strake_builder.errors import InvalidRequestError

URL = "https://git.example/app.git"
COMMIT = "a" * 40


def read(*words: str):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    build.configure(parser)
    return context_of(parser.parse_args(words)).chosen


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("-c", "dir:///workspace"), "/workspace"),
        (("-c", "/workspace"), "/workspace"),
        (("-c", "/workspace", "--context-sub-path=api"), "/workspace/api"),
        (("-c", "dir:///workspace", "--context-sub-path=./api/"), "/workspace/api"),
        ((), str(Path.cwd())),
    ],
)
def test_directories(words, path):
    assert read(*words) == DirectorySource(path=path)


@pytest.mark.parametrize(
    ("words", "source"),
    [
        (("-c", "tar:///x/c.tar.zst"), ArchiveSource(path="/x/c.tar.zst")),
        (("-c", "tar://stdin"), ArchiveSource(path="/dev/stdin")),
        (
            ("-c", "tar:///x/c.tar", "--context-sub-path=a/b"),
            ArchiveSource(path="/x/c.tar", subdirectory="a/b"),
        ),
        (("-c", "https://web.example/c.tar.gz?sig=x"), HTTPSource(url="https://web.example/c.tar.gz?sig=x")),
        (
            ("-c", "https://web.example/c.tar.gz", "--context-sub-path=a"),
            HTTPSource(url="https://web.example/c.tar.gz", path="a"),
        ),
        (
            ("-c", "https://acme.blob.core.windows.net/box/c.tar.gz?sv=1&sig=x"),
            HTTPSource(url="https://acme.blob.core.windows.net/box/c.tar.gz?sv=1&sig=x"),
        ),
        (("-c", "s3://bucket/a/c.tar.gz"), BucketSource(url="s3://bucket/a/c.tar.gz")),
        (("-c", "gs://bucket/a/c.tar.gz"), BucketSource(url="gs://bucket/a/c.tar.gz")),
        (
            ("-c", "https://acme.blob.core.windows.net/box/c.tar.gz"),
            BucketSource(url="https://acme.blob.core.windows.net/box/c.tar.gz"),
        ),
        (
            ("-c", "https://acme.blob.core.windows.net.example/box/c.tar.gz"),
            HTTPSource(url="https://acme.blob.core.windows.net.example/box/c.tar.gz"),
        ),
        (
            ("-c", "http://acme.blob.core.windows.net/box/c.tar.gz"),
            HTTPSource(url="http://acme.blob.core.windows.net/box/c.tar.gz"),
        ),
        (
            ("-c", "s3://bucket/c.tar.gz", "--context-sub-path=a"),
            BucketSource(url="s3://bucket/c.tar.gz", path="a"),
        ),
        (("-c", "oci://r.example/app:1"), OCISource(reference="r.example/app:1")),
        (
            ("-c", "oci://r.example/app:1", "--context-sub-path=a/"),
            OCISource(reference="r.example/app:1", path="a"),
        ),
    ],
)
def test_archives(words, source):
    assert read(*words) == source


@pytest.mark.parametrize(
    ("words", "url", "ref", "path"),
    [
        # kaniko's
        (("git://git.example/app.git",), URL, "HEAD", "."),
        (("git://git.example/app.git#refs/heads/main",), URL, "refs/heads/main", "."),
        ((f"git://git.example/app.git#refs/heads/main#{COMMIT}",), URL, COMMIT, "."),
        ((f"{URL}#refs/heads/main#{COMMIT}",), URL, COMMIT, "."),
        (("git://git.example/app.git#main", "--context-sub-path", "api"), URL, "main", "api"),
        (("git://git.example/app.git", "--context-sub-path=api"), URL, "HEAD", "api"),
        (("git://git.example/app.git", "--git", "branch=dev,single-branch=true,depth=1"), URL, "dev", "."),
        (("git://git.example/app.git#main", "--git", "branch=dev"), URL, "main", "."),
        # Strake's
        ((f"git+{URL}",), URL, "HEAD", "."),
        ((f"git+{URL}#main:services", "--context-sub-path", "api"), URL, "main", "services/api"),
        (("git+https://git.example/app#v1",), "https://git.example/app", "v1", "."),
        (("git+git://git.example/app.git",), "git://git.example/app.git", "HEAD", "."),
        # BuildKit's
        ((URL,), URL, "HEAD", "."),
        ((f"{URL}#main:docs",), URL, "main", "docs"),
        ((f"{URL}?branch=main&subdir=docs",), URL, "refs/heads/main", "docs"),
        (("git@git.example:team/app.git#v1",), "git@git.example:team/app.git", "v1", "."),
        (("ssh://git@git.example:2222/app.git",), "ssh://git@git.example:2222/app.git", "HEAD", "."),
    ],
)
def test_repositories(words, url, ref, path, monkeypatch):
    monkeypatch.delenv("GIT_PULL_METHOD", raising=False)
    found = read("-c", *words)
    assert isinstance(found, GitSource)
    assert (found.url, found.ref, found.path) == (url, ref, path)


def test_commit_that_a_ref_must_be_is_checked():
    assert read("-c", f"{URL}?ref=main&checksum=abcdef1").commit == "abcdef1"
    assert read("-c", f"{URL}?checksum={COMMIT}").ref == COMMIT
    short = read("-c", f"{URL}?checksum={COMMIT[:8]}")
    assert (short.ref, short.commit) == ("HEAD", COMMIT[:8])
    with pytest.raises(InvalidRequestError, match="full hash of a commit"):
        read("-c", f"{URL}?ref=main&fetch-by-commit=1")


def test_git_is_pulled_as_the_environment_says(monkeypatch):
    monkeypatch.setenv("GIT_PULL_METHOD", "http")
    assert read("-c", "git://git.example/app.git").url == "http://git.example/app.git"


def test_what_git_options_say_counts():
    found = read("-c", URL, "--git=depth=7,recurse-submodules=false")
    assert (found.depth, found.submodules) == (7, False)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--context-sub-path=../x",), "leads out of the context"),
        (("--git=branch=x",), "no git repository"),
        (("-c", "git://h/r", "--git=brunch=x"), "'brunch' is not understood"),
        (("-c", "git://h/r", "--git=depth=-1"), "no number of commits"),
        (("-c", f"{URL}?what=1"), "unexpected query 'what'"),
        (
            ("-c", "hdfs://bucket/c.tar.gz"),
            "contexts from hdfs:// are not supported .use a directory, .*https",
        ),
    ],
)
def test_what_is_refused(words, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        read(*words)


@pytest.mark.parametrize(
    ("option", "unverified"), [("insecure-skip-tls=true", True), ("insecure-skip-tls=false", False)]
)
def test_certificates_of_a_repository(option, unverified):
    assert read("-c", "git://h/r", f"--git={option}") == GitSource(url="https://h/r", unverified=unverified)
