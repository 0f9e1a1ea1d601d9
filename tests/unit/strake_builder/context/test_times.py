"""When a context was made: what its commit, its server or its archive says, and nothing where none of them does."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from strake_api.models.source import DirectorySource, GitSource, HTTPSource, Source
from strake_builder.context.fetch import FetchedContext
from strake_builder.context.times import archive_time, context_time
from strake_builder.errors import SourceError
from strake_oci.cancellation import Cancellation
from tests.fixtures.content.git_repository import Repository

LIMIT = 100
ARCHIVE = Source(http=HTTPSource(url="https://host.example/context.tar.gz"))

FILE = Source(http=HTTPSource(url="https://host.example/file", unpacked=False))


def moment(source: Source, fetched: FetchedContext) -> int | None:
    return context_time(source, fetched, Cancellation(), LIMIT)


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
    (tmp_path / "context").write_text("no archive")
    assert moment(FILE, FetchedContext(str(tmp_path))) is None


def packed(path: Path, pack: Callable[[bytes], bytes] = bytes, **times: int) -> Path:
    """Write an archive with a file of ten bytes for each time, and a directory that is newer."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, seconds in times.items():
            member = tarfile.TarInfo(name)
            member.mtime, member.size = seconds, 10
            archive.addfile(member, io.BytesIO(b"0123456789"))
        newer = tarfile.TarInfo("directory")
        newer.type, newer.mtime = tarfile.DIRTYPE, 9999
        archive.addfile(newer)
    path.write_bytes(pack(plain.getvalue()))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_file_that_is_an_archive_has_the_time_of_the_latest_file_in_it(tmp_path, pack):
    packed(tmp_path / "context", pack, a=500, b=700, c=600)
    assert moment(FILE, FetchedContext(str(tmp_path))) == 700
    assert moment(FILE, FetchedContext(str(tmp_path), modified=5)) == 5


def test_an_archive_that_ends_early_has_no_time(tmp_path):
    whole = packed(tmp_path / "whole", a=500).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:515])
    assert archive_time(str(tmp_path / "cut"), LIMIT) is None
    assert archive_time(str(packed(tmp_path / "empty")), LIMIT) is None


def test_an_archive_is_not_read_without_end(tmp_path):
    packed(tmp_path / "context", bytes, **{f"f{number}": 5 for number in range(11)})
    with pytest.raises(SourceError, match="more than 100 bytes"):
        moment(FILE, FetchedContext(str(tmp_path)))
