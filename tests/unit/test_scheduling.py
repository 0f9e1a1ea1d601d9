"""Who runs which test when `make test` has several workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scheduling import ALONE, BY_PARAMETER, LONG, SUITES, ByFile, sort_key

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("file", [*ALONE, *BY_PARAMETER, *LONG])
def test_every_file_is_there(file):
    assert (TESTS.parent / file).exists()


def test_every_suite_has_its_turn():
    found = {each.relative_to(TESTS).parts[0] for each in TESTS.rglob("test_*.py")}
    assert found == set(SUITES)


def test_who_needs_the_operator_alone_is_in_the_table():
    """Others, which use it, come later: they would wait for it."""
    asking = {
        str(each.relative_to(TESTS.parent))
        for each in (TESTS / "e2e").rglob("test_*.py")
        if "platform.changed(" in each.read_text()
    }
    assert asking
    assert asking <= set(ALONE)
    assert all(
        sort_key(each) < sort_key(other)
        for each in asking
        for other in (*LONG, "tests/e2e/registries/test_cache.py")
    )


def unit(test):
    """Return the name of what a worker runs in one go, the test among it."""
    return ByFile.__new__(ByFile)._split_scope(test)


def test_a_file_stays_together_and_the_operator_is_with_one_worker():
    assert unit("tests/unit/test_a.py::TestB::test_c[x::y]") == "tests/unit/test_a.py"
    assert {unit(f"{each}::test_c") for each in ALONE} == {"operator"}


def test_a_long_file_is_shared_by_what_its_tests_share():
    file = "tests/conformance/test_images.py"
    found = [unit(f"{file}::test_a[{each}]") for each in ("one-overlay", "two-overlay", "one-scan")]
    assert found[0] == found[1] != found[2]
