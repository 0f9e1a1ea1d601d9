"""What tests need: known for every test, and chosen by."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.needs import BY_PATH, MARKERS, needs

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", BY_PATH)
def test_every_path_is_there(path):
    folder, _, beginning = path.rpartition("/")
    assert list((TESTS / folder).glob(f"{beginning}*"))


def test_no_folder_is_passed_over(request):
    """pytest leaves out folders with the names of build products, without a word."""
    passed_over = request.config.getini("norecursedirs")
    folders = {folder.name for path in TESTS.rglob("test_*.py") for folder in path.relative_to(TESTS).parents}
    assert not [name for name in folders if any(fnmatch(name, pattern) for pattern in passed_over)]


def test_every_need_has_a_marker():
    assert {need for wanted in BY_PATH.values() for need in wanted} == set(MARKERS)


@pytest.mark.parametrize(
    ("path", "origins", "found"),
    [
        ("unit/strake_api/test_text.py", (), set()),
        ("unit/strake_builder/rootfs/files/test_copy.py", (), {"root"}),
        ("contract/test_oci_client.py", ("tests.fixtures.building.go_tools",), {"registry", "go"}),
        ("e2e/registries/test_cache.py", (), {"root", "registry", "go", "cluster"}),
    ],
)
def test_what_a_test_needs(path, origins, found):
    assert needs(path, origins) == found


def test_a_run_knows_the_markers(request):
    assert set(MARKERS) <= {line.partition(":")[0] for line in request.config.getini("markers")}
    assert set(MARKERS).isdisjoint(mark.name for mark in request.node.iter_markers())
