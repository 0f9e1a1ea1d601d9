"""How much of a repository a source has: history, tags, submodules."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import pytest

from strake_builder.context.git.fetch import GitCommit, check_out
from strake_oci.spec.reference import Reference
from tests.conformance.flatten import flatten
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.git_repository import Repository, repository
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.web import running_web_server

__all__ = ["repository"]


def git(directory, *arguments: str) -> str:
    words = ["git", "-C", str(directory), "-c", "safe.directory=*", *arguments]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def history(repository) -> Repository:
    for number in range(4):
        repository.commit(readme=f"{number}\n")
        if number == 1:
            repository.git("tag", "v1")
    repository.git("branch", "other", "HEAD~1")
    return repository


@pytest.mark.parametrize(("depth", "commits"), [(1, 1), (3, 3), (0, 5), (100, 5)])
@pytest.mark.parametrize("ref", ["HEAD", "main", "hash"])
def test_a_depth_is_a_number_of_commits(history, tmp_path, depth, commits, ref):
    head = history.commit()
    (tmp_path / "tree").mkdir()
    wanted = GitCommit(history.url, head if ref == "hash" else ref, depth=depth)
    assert check_out(wanted, str(tmp_path / "tree")) == head
    assert git(tmp_path / "tree", "rev-list", "--count", "HEAD") == str(commits)


def test_all_of_it_has_tags(history, tmp_path):
    (tmp_path / "tree").mkdir()
    check_out(GitCommit(history.url, "main", depth=0), str(tmp_path / "tree"))
    assert git(tmp_path / "tree", "describe", "--tags").startswith("v1-2-g")


def test_another_branch_with_all_of_it_is_that_branch(history, tmp_path):
    (tmp_path / "tree").mkdir()
    found = check_out(GitCommit(history.url, "other", depth=0), str(tmp_path / "tree"))
    assert found == history.git("rev-parse", "other")


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("submodules", [True, False])
def test_submodules_are_there_if_they_are_wanted(history, tmp_path, submodules, depth):
    library = history.work.parent / "library.git"
    library.mkdir()
    inner = Repository(history.url.replace("app", "library"), library)
    inner.git("init", "-q")
    for number in range(2):
        inner.commit(code=f"{number}\n")
    history.git("submodule", "--quiet", "add", inner.url, "library")
    history.git("commit", "-qm", "library")
    tree = tmp_path / "tree"
    tree.mkdir()
    check_out(GitCommit(history.url, "main", submodules=submodules, depth=depth), str(tree))
    assert (tree / "library/code").exists() is submodules
    if submodules:
        assert git(tree / "library", "rev-list", "--count", "HEAD") == ("1" if depth else "2")


def test_the_commit_is_in_the_tag(history, tmp_path):
    head = history.commit(Dockerfile="FROM scratch\nCOPY Dockerfile /\n")
    with running_registry() as registry:
        request = {
            "source": {"git": {"url": history.url, "ref": "main"}},
            "output": {
                "destinations": [
                    f"{registry.host}/app:main-{{shortRevision}}",
                    f"{registry.host}/all:{{revision}}",
                ]
            },
            "registries": {"hosts": {registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words])
        assert done.returncode == 0, done.stderr
        result = json.loads((tmp_path / "result.json").read_text())
        assert result["references"] == [f"{registry.host}/app:main-{head[:7]}", f"{registry.host}/all:{head}"]
        with registry.client() as client:
            assert client.resolve(Reference.parse(result["references"][0])).digest


DATED = "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL at=$SOURCE_DATE_EPOCH\nCOPY readme /\n"


def test_the_time_of_the_context_is_that_of_its_commit(repository, tmp_path):
    repository.commit(Dockerfile=DATED)
    with running_registry() as registry:
        request = {
            "source": {"git": {"url": repository.url, "ref": "main"}},
            "args": [{"name": "SOURCE_DATE_EPOCH", "value": "context"}],
            "output": {"destinations": [f"{registry.host}/app:1"]},
            "registries": {"hosts": {registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words])
        assert done.returncode == 0, done.stderr
        with registry.client() as client:
            built = flatten(client, registry.repository("app"), "1")
    when = repository.git("log", "-1", "--format=%ct")
    assert built.config.config.labels["at"] == when
    assert built.config.created == datetime.fromtimestamp(int(when), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    "way", [("--source-date-epoch", "context"), ("--build-arg", "SOURCE_DATE_EPOCH=context")]
)
def test_a_directory_has_no_time_which_is_told(builder, way):
    builder.context(DATED, readme="text")
    done = builder.run(*way)
    assert done.returncode == 0, done.stderr
    assert "this context has no time of its own" in done.stderr
    assert builder.built().config.config.labels["at"] == ""


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ("{url}#main:/sub/", False),
        ("{url}?ref=main&subdir=/sub/", False),
        ("{url}#main", False),
        ("{url}?keep-git-dir=1#main", True),
        ("git+{url}#main", True),
    ],
)
def test_a_context_has_gits_own_directory_as_its_form_says(builder, repository, tmp_path, form, kept):
    """BuildKit's form has none unless it asks for it, kaniko's always."""
    file = "FROM scratch\nCOPY . /c/\n"
    (repository.work / "sub" / "Dockerfile").write_text(file)
    repository.commit(Dockerfile=file)
    builder.context("FROM scratch")
    with running_web_server(tmp_path / "repositories", None) as server:
        context = form.format(url=f"{server.url}/app.git/.git")
        done = builder.run("--context", context)
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert ("/c/file" if "sub" in form else "/c/sub/file") in paths
    assert ("/c/.git/HEAD" in paths, "/c/.git" in paths) == (kept, kept)
