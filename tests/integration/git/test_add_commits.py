"""What ADD takes of a commit: which one, which directory of it, without what, and what is kept of git's own."""

from __future__ import annotations

import pytest

from tests.fixtures.content.git_repository import repository

__all__ = ["repository"]


@pytest.fixture
def two(repository):
    """A repository where a branch and a tag of one name are two commits."""
    first = repository.commit()
    repository.git("branch", "both")
    (repository.work / "link").symlink_to("sub")
    repository.commit(second="second\n")
    repository.git("tag", "-a", "-m", "note", "both")
    repository.git("tag", "-a", "-m", "note", "v1")
    return repository, first


def added(builder, line):
    builder.context(f"FROM TINY\n{line}\n")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    return builder.built().paths


def test_a_branch_goes_before_a_tag_of_its_name(builder, two):
    """As for BuildKit; `git fetch` takes the tag."""
    url = two[0].url
    assert "/d/second" not in added(builder, f"ADD {url}#both /d/")
    assert "/d/second" in added(builder, f"ADD {url}#refs/tags/both /d/")
    assert "/d/second" in added(builder, f"ADD {url}#v1 /d/")
    assert "/d/second" not in added(builder, f"ADD {url}#heads/both /d/")


def test_what_is_excluded_is_not_added(builder, two):
    paths = added(builder, f"ADD --exclude=sub/* --exclude=*.sh {two[0].url} /d/")
    assert {"/d/readme", "/d/sub"} <= set(paths)
    assert not {"/d/sub/file", "/d/run.sh"} & set(paths)


def test_a_new_destination_is_a_copied_directory(builder, two):
    url = two[0].url
    made = f"RUN mkdir /g && chown 3:7 /g && chmod 2775 /g\nADD {url} /g/new\nADD --chown=5 {url} /g/owned"
    paths = added(builder, f"{made}\nADD --chmod=u-w {url} /new\nADD --chmod=u-w {url} /made/")
    owners = [
        (paths[path]["uid"], paths[path]["gid"], paths[path]["mode"]) for path in ("/g/new", "/g/owned")
    ]
    assert owners == [(0, 0, "0755"), (5, 5, "0755")], "no set-group-ID bit of the parent's"
    assert paths["/new"]["mode"] == paths["/new/sub"]["mode"] == paths["/made/sub"]["mode"] == "0555"
    assert paths["/made"]["mode"] == "0755"


@pytest.mark.parametrize("path", ["readme", "link", "missing", ".git", "sub/.git/../../.git"])
def test_only_a_directory_of_the_commit_can_be_added(builder, two, path):
    builder.context(f"FROM TINY\nADD {two[0].url}#:{path} /d/\n")
    done = builder.run()
    assert done.returncode == 6, done.stderr
    assert "Dockerfile:2" in done.stderr
    assert "has no directory" in done.stderr
    assert builder.tags() == []


def test_git_describes_what_is_kept_and_nothing_tells_of_the_machine(builder, two):
    builder.context(f"FROM TINY\nADD --keep-git-dir {two[0].url}#v1 /d/\nRUN cat /d/.git/refs/tags/v1\n")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert two[0].git("rev-parse", "v1") in done.stderr, "the tag itself, as git describe asks for"
    kept = {path for path in builder.built().paths if path.startswith("/d/.git/")}
    assert "/d/.git/HEAD" in kept
    assert not [path for path in kept if path.startswith("/d/.git/logs") or path.endswith("FETCH_HEAD")]


def test_the_hash_of_a_tag_is_its_commit_with_a_cache_too(builder, two, tmp_path):
    builder.context(f"FROM TINY\nADD {two[0].url}#{two[0].git('rev-parse', 'v1')} /d/\n")
    for _ in range(2):
        done = builder.run("--cache-dir", str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
        assert "/d/second" in builder.built().paths


def test_a_checksum_may_be_of_the_tag_itself(builder, two):
    """It is what `git ls-remote` shows first."""
    repository, first = two
    tag = repository.git("rev-parse", "v1")
    for checksum, ref in ((tag, "v1"), (tag[:9], "refs/tags/v1"), (tag, tag), (repository.commit(), "v1")):
        assert "/d/second" in added(builder, f"ADD --checksum={checksum} {repository.url}#{ref} /d/")
    for ref in ("main", "both", first):
        builder.context(f"FROM TINY\nADD --checksum={tag} {repository.url}#{ref} /d/\n")
        done = builder.run()
        assert done.returncode == 4, done.stderr
        assert f"not {tag}" in done.stderr


def test_a_commit_that_is_fetched_by_its_hash_must_be_named(builder, two):
    repository, first = two
    url = repository.url
    assert "/d/second" not in added(builder, f"ADD --checksum={first} {url}?fetch-by-commit=1#both /d/")
    for line, words in (
        (f"ADD {url}?fetch-by-commit=1#both /d/", "fetch-by-commit needs the full hash"),
        (f"ADD --checksum={first[:12]} {url}?fetch-by-commit=1 /d/", "fetch-by-commit needs the full hash"),
        (f"ADD --checksum={first} {url}?fetch-by-commit=1#{repository.commit()} /d/", f"not {first}"),
    ):
        builder.context(f"FROM TINY\n{line}\n")
        done = builder.run()
        assert done.returncode == 4, done.stderr
        assert words in done.stderr
