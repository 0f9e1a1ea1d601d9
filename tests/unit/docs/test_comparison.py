"""The page that compares Strake with others: each cell of its tables leads to what backs it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.pages.blocks import ROOT

PAGE = (ROOT / "docs/comparison.md").read_text()
_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)")
OTHERS = {
    "kaniko": ("github.com/GoogleContainerTools/kaniko/", "github.com/osscontainertools/kaniko/"),
    "BuildKit": ("github.com/moby/buildkit/", "docs.docker.com/build/"),
    "buildah": ("github.com/containers/buildah/",),
    "Shipwright": ("github.com/shipwright-io/build/",),
    "kpack": ("github.com/buildpacks-community/kpack/",),
}
"""Project → where its own documentation is."""
OURS = ("../tests/", "../benchmarks/", "../CHANGELOG.md")


def rows() -> list[tuple[str, dict[str, str]]]:
    """Return the rows of all tables: their name, and their cells by project."""
    found, columns = [], []
    for line in PAGE.splitlines():
        if line.startswith("|"):
            name, *cells = (each.strip() for each in line.strip("|").split("|"))
            if not name:
                columns = cells
            elif set(name) != {"-"}:
                found.append((name, dict(zip(columns, cells, strict=True))))
    return found


ROWS = rows()
CELLS = [(name, project, cell) for name, cells in ROWS for project, cell in cells.items()]


@pytest.mark.parametrize(("name", "project", "cell"), CELLS, ids=[f"{name}: {who}" for name, who, _ in CELLS])
def test_each_cell_is_backed(name, project, cell):
    targets = [each["target"] for each in _LINK.finditer(cell)]
    assert targets, "a cell without a link claims what nothing backs"
    for target in targets:
        if target.startswith("../"):
            assert target.startswith(OURS), target
            assert (ROOT / "docs" / target).is_file(), target
        else:
            url = urlsplit(target)
            assert f"{url.netloc}{url.path}".startswith(OTHERS[project]), target
    assert any(each.startswith("../") for each in targets) == (project == "Strake" or "results" in cell)


def test_a_test_of_ours_has_tests():
    tests = {each["target"] for each in _LINK.finditer(PAGE) if each["target"].startswith("../tests/")}
    assert len(tests) > 12
    for target in tests:
        assert re.search(r"(?m)^ *def test_", (ROOT / "docs" / target).read_text()), target


def test_every_table_has_every_project():
    assert len(ROWS) > 15
    assert all(list(cells) == ["Strake", *OTHERS] for _, cells in ROWS)


def test_it_says_where_others_are_better():
    better = PAGE.partition("## When to take another")[2]
    assert all(project in better for project in OTHERS)
