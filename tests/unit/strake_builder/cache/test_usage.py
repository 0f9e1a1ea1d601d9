"""A shared directory stays below its limit; what is in use stays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from strake_builder.cache.usage import Usage, prune


@pytest.fixture
def usage_directory(tmp_path):
    return str(tmp_path / "usage")


def used(directory: str, **objects: int) -> None:
    """Note objects with sizes, the first used longest ago."""
    with Usage(directory) as usage:
        for name, size in objects.items():
            usage.hold(name, size)
    for number, name in enumerate(objects):
        os.utime(os.path.join(directory, name), (number, number))


def pruned(directory: str, limit: int) -> list[str]:
    removed: list[str] = []
    prune(directory, limit, removed.append)
    return removed


def test_below_the_limit_everything_stays(usage_directory):
    used(usage_directory, a=5, b=5)
    assert pruned(usage_directory, 10) == []


def test_what_was_used_longest_ago_goes_first(usage_directory):
    used(usage_directory, a=5, b=5, c=5)
    assert pruned(usage_directory, 7) == ["a", "b"]
    assert sorted(os.listdir(usage_directory)) == ["c"]


def test_using_something_makes_it_young(usage_directory):
    used(usage_directory, a=5, b=5)
    with Usage(usage_directory) as usage:
        usage.hold("a")
    assert pruned(usage_directory, 5) == ["b"]


def test_what_is_in_use_stays(usage_directory):
    used(usage_directory, a=5, b=5)
    with Usage(usage_directory) as usage:
        usage.hold("a")
        os.utime(os.path.join(usage_directory, "a"), (0, 0))
        assert pruned(usage_directory, 0) == ["b"]
    assert pruned(usage_directory, 0) == ["a"]


def test_a_killed_build_holds_nothing(usage_directory):
    program = f"""
import os, signal
from strake_builder.cache.usage import Usage
Usage({usage_directory!r}).hold("a", 5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert pruned(usage_directory, 0) == ["a"]


def test_what_cannot_be_removed_is_left_for_later(usage_directory):
    used(usage_directory, a=5, b=5)

    def refuse(name: str) -> None:
        if name == "a":
            raise OSError("busy")

    assert prune(usage_directory, 0, refuse) == 5
    assert os.listdir(usage_directory) == ["a"]


def test_notes_that_are_none_do_no_harm(usage_directory):
    used(usage_directory, a=5)
    for name, content in (("b", "many"), ("c", "")):
        with open(os.path.join(usage_directory, name), "w") as file:
            file.write(content)
    assert "a" in pruned(usage_directory, 0)


def test_there_may_be_nothing_yet(tmp_path):
    assert prune(str(tmp_path / "none"), 0, lambda name: None) == 0
