"""An upgrade always starts from something: the last release, or the first chart."""

from __future__ import annotations

import subprocess

import pytest

from tests.helm.earlier import FIRST, earlier, last_release, schema


def git(directory, *words: str) -> None:
    person = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *person, *words], cwd=directory, check=True, capture_output=True)


def commit(directory, text: str) -> None:
    (directory / "charts/strake").mkdir(parents=True, exist_ok=True)
    (directory / "charts/strake/Chart.yaml").write_text(text)
    git(directory, "add", "--all")
    git(directory, "commit", "--message=x")


@pytest.fixture
def repository(tmp_path):
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "--quiet")
    commit(made, "one")
    return made


def test_without_a_release_it_is_the_first_chart(repository, tmp_path):
    commit(repository, "two")
    git(repository, "tag", "not-a-version")
    found = earlier(tmp_path / "chart", repository)
    assert (found.what, found.sources) == ("the first chart", None)
    assert "platforms" not in schema(found.chart)["properties"], "it came later"


def test_the_last_release_counts_and_not_one_elsewhere(repository, tmp_path):
    for version in ("v0.9.0", "v0.10.0"):
        git(repository, "tag", version)
        commit(repository, version)
    git(repository, "checkout", "--quiet", "-b", "elsewhere")
    commit(repository, "elsewhere")
    git(repository, "tag", "v2.0.0")
    git(repository, "checkout", "--quiet", "-")
    commit(repository, "now")
    found = earlier(tmp_path / "tree", repository)
    assert (found.what, found.sources) == ("v0.10.0", tmp_path / "tree")
    assert (found.chart / "Chart.yaml").read_text() == "v0.9.0", "what the tag had"


def test_a_release_is_compared_with_the_one_before_it(repository):
    git(repository, "tag", "v0.1.0")
    assert last_release(repository) is None, "no commit before it"
    commit(repository, "two")
    git(repository, "tag", "v0.2.0")
    assert last_release(repository) == "v0.1.0"


def test_a_directory_without_history_has_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert last_release(tmp_path) is None
    assert FIRST.stat().st_size > 10_000
