"""A run stops the cluster that it started, and as soon as no test needs it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.conftest import _Cluster
from tests.fixtures.shared import CLUSTER, SharedRun

FIRST, LAST = "tests/e2e/registries/test_cache.py::test_a", "tests/e2e/sources/test_git.py::test_b"
OTHER = "tests/unit/test_needs.py::test_c"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return SharedRun(str(tmp_path / "run"))


@pytest.fixture
def asked(monkeypatch):
    """What the cluster's program was asked for."""
    found = []

    def command(word):
        found.append(word)
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(_Cluster, "_command", staticmethod(command))
    return found


def ended(cluster, *tests):
    for test in tests:
        for when in ("setup", "call", "teardown"):
            cluster.pytest_runtest_logreport(SimpleNamespace(when=when, nodeid=test))


def test_it_ends_with_the_last_test_that_needs_it(run, asked):
    cluster = _Cluster(run)
    for _worker in range(3):
        cluster.needed_by([FIRST, OTHER, LAST])
    assert asked == ["binaries"]
    run.note(CLUSTER)
    ended(cluster, FIRST, OTHER)
    assert asked == ["binaries"]
    ended(cluster, LAST)
    assert asked == ["binaries", "down"]
    cluster.end()
    assert asked == ["binaries", "down"]


def test_a_run_that_is_interrupted_stops_it_at_its_end(run, asked):
    cluster = _Cluster(run)
    cluster.needed_by([FIRST, LAST])
    run.note(CLUSTER)
    ended(cluster, FIRST)
    cluster.end()
    assert asked == ["binaries", "down"]
    assert not run.directory.exists()


def test_one_that_ran_before_is_left_running(run, asked):
    cluster = _Cluster(run)
    cluster.needed_by([FIRST])
    ended(cluster, FIRST)
    cluster.end()
    assert asked == ["binaries"]


def test_a_run_without_it_asks_for_nothing(run, asked):
    cluster = _Cluster(run)
    cluster.needed_by([OTHER])
    ended(cluster, OTHER)
    cluster.end()
    assert asked == []
