"""Who runs which test when `make test` has several workers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.scheduling import ALONE, BY_PARAMETER, LONG, OPERATOR, SUITES, ByFile, sort_key, uses_operator

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("file", [*ALONE, *BY_PARAMETER, *LONG])
def test_every_file_is_there(file):
    assert (TESTS.parent / file).exists()


def test_every_suite_has_its_turn():
    found = {each.relative_to(TESTS).parts[0] for each in TESTS.rglob("test_*.py")}
    assert found == set(SUITES)


WITH_ALONE = "tests/e2e/outcomes/test_changes.py::test_installing_again_changes_nothing"
BESIDE = "tests/e2e/outcomes/test_changes.py::test_runs_that_ended_are_remembered"


def test_who_needs_the_operator_alone_comes_first():
    """Others, which use it, come later: they would wait for it."""
    others = (BESIDE, *LONG, "tests/unit/test_a.py::test_b", "tests/e2e/registries/test_cache.py::test_a")
    assert all(sort_key(WITH_ALONE) < sort_key(other) for other in others)


def unit(test):
    """Return the name of what a worker runs in one go, the test among it."""
    return ByFile.__new__(ByFile)._split_scope(test)


def test_a_file_stays_together_and_the_operator_is_with_one_worker():
    assert unit("tests/unit/test_a.py::TestB::test_c[x::y]") == "tests/unit/test_a.py"
    assert {unit(f"{each}::test_c") for each in ALONE} | {unit(WITH_ALONE)} == {"operator"}
    assert unit(BESIDE) == "tests/e2e/outcomes/test_changes.py"


def test_a_long_file_is_shared_by_what_its_tests_share():
    file = "tests/conformance/test_images.py"
    found = [unit(f"{file}::test_a[{each}]") for each in ("one-overlay", "two-overlay", "one-scan")]
    assert found[0] == found[1] != found[2]


FILES = (
    "outcomes/test_runs",
    "outcomes/test_given",
    "registries/test_cache",
    "sources/test_git",
    "sources/test_http",
)
ALONE_TESTS = [f"{ALONE[0]}::test_{number}" for number in range(4)]
USING = [f"tests/e2e/{file}.py::test_{number}" for file in FILES for number in range(3)]
OTHERS = [f"tests/unit/test_{file}.py::test_{number}" for file in range(8) for number in range(3)]


class _Node:
    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None:
        """Take tests, which are ended by `Workers.finish`."""

    def shutdown(self) -> None:
        """Take no more."""


class Workers:
    """Workers of pytest-xdist that have collected tests and have been given the first."""

    def __init__(self, count: int, tests: list[str]) -> None:
        self.tests = tests
        self.nodes = [_Node() for _ in range(count)]
        option = SimpleNamespace(loadscopereorder=False)
        config = SimpleNamespace(getvalue=lambda _: ["popen"] * count, option=option)
        self.by_file = ByFile(cast("pytest.Config", config))
        for each in self.nodes:
            self.by_file.add_node(each)
            self.by_file.add_node_collection(each, tests)
        self.by_file.schedule()

    def pending(self) -> list[list[str]]:
        """Return the files that each worker is not done with, in the order in which it takes them."""
        return [list(self.by_file._pending(each)) for each in self.nodes]

    def finish(self, number: int, file: str) -> None:
        """Have a worker end the tests of a file."""
        node = self.nodes[number]
        for test in self.by_file.assigned_work[node][file]:
            self.by_file.mark_test_complete(node, self.tests.index(test))


def test_nobody_uses_the_operator_while_one_worker_has_it_alone():
    workers = Workers(4, [*ALONE_TESTS, *USING, *OTHERS])
    first, *others = workers.pending()
    assert first == [OPERATOR]
    assert {file for files in others for file in files} <= {each.partition("::")[0] for each in OTHERS}


def test_then_half_of_the_workers_use_it_and_the_others_compute():
    workers = Workers(4, [*ALONE_TESTS, *USING, *OTHERS])
    workers.finish(0, OPERATOR)
    for number in (1, 2, 3):
        workers.finish(number, workers.pending()[number][0])
    using = [any(map(uses_operator, files)) for files in workers.pending()]
    assert sorted(using) == [False, False, True, True]


def test_when_nothing_else_is_left_all_use_it():
    workers = Workers(4, USING)
    assert all(any(map(uses_operator, files)) for files in workers.pending())


def test_every_test_is_given_out_once():
    tests = [*ALONE_TESTS, *USING, *OTHERS]
    workers, given = Workers(3, tests), list[str]()
    while any(found := workers.pending()):
        number = next(number for number, files in enumerate(found) if files)
        file = found[number][0]
        given += workers.by_file.assigned_work[workers.nodes[number]][file]
        workers.finish(number, file)
    assert sorted(given) == sorted(tests)
