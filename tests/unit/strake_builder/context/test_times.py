"""When a context was made: what its commit, its server or its archive says, and nothing where none of them does."""

from __future__ import annotations

import os

import pytest

from strake_api.models.source import DirectorySource, GitSource, HTTPSource, Source
from strake_builder.context.fetch import FetchedContext
from strake_builder.context.times import context_time
from strake_builder.errors import SourceError
from strake_oci.cancellation import Cancellation
from tests.fixtures.content.git_repository import Repository

ARCHIVE = Source(http=HTTPSource(url="https://host.example/context.tar.gz"))


def moment(source: Source, fetched: FetchedContext) -> int | None:
    return context_time(source, fetched, Cancellation())


def test_a_commit_has_the_time_of_its_committer_in_every_directory_of_it(tmp_path):
    repository = Repository("https://host.example/app.git", tmp_path)
    repository.git("init", "-q")
    (tmp_path / "sub").mkdir()
    repository.git("-c", "core.hooksPath=/dev/null", "commit", "--allow-empty", "-qm", "first")
    repository.git("commit", "--allow-empty", "--amend", "-qm", "first", "--date=2001-01-01T00:00:00Z")
    when = int(repository.git("log", "-1", "--format=%ct"))
    source = Source(git=GitSource(url=repository.url))
    assert when > 1_500_000_000
    for directory in (tmp_path, tmp_path / "sub"):
        assert moment(source, FetchedContext(str(directory), revision="a" * 40)) == when


def test_what_is_no_repository_is_told(tmp_path):
    with pytest.raises(SourceError, match="git log failed"):
        moment(Source(git=GitSource(url="https://host.example/app.git")), FetchedContext(str(tmp_path)))


@pytest.mark.parametrize(("modified", "expected"), [(1000, 1000), (-5, 0), (10**13, 99_999_999_999), (0, 0)])
def test_a_download_has_the_time_that_its_server_says(tmp_path, modified, expected):
    (tmp_path / "file").write_text("newer")
    assert moment(ARCHIVE, FetchedContext(str(tmp_path), modified=modified)) == expected


def test_or_that_of_the_latest_file_in_it(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, seconds in (("a", 500), ("sub/b", 700)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (seconds, seconds))
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert moment(ARCHIVE, FetchedContext(str(tmp_path))) == 700


def test_other_contexts_have_none(tmp_path):
    (tmp_path / "file").write_text("content")
    directory = Source(directory=DirectorySource(path=str(tmp_path)))
    assert moment(directory, FetchedContext(str(tmp_path))) is None
    (tmp_path / "empty").mkdir()
    assert moment(ARCHIVE, FetchedContext(str(tmp_path / "empty"))) is None
    file = Source(http=HTTPSource(url="https://host.example/file", unpacked=False))
    assert moment(file, FetchedContext(str(tmp_path))) is None
