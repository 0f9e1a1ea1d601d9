"""Who starts next, for each situation of a queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strake_operator.reconcile.admission.admit import NO_LIMITS, Limits, Line, Waiting, admit, queue_of
from tests.unit.strake_operator.builders import NOW


def waits(name, seconds=0, priority=0):
    """Return `team/app` as one that has waited for so many seconds."""
    namespace, _, build = name.partition("/")
    return Waiting(namespace, build, NOW - timedelta(seconds=seconds), priority)


OLD, NEW = waits("a/old", 60), waits("a/new", 10)
OTHER = waits("b/other", 1)


@pytest.mark.parametrize(
    ("waiting", "running", "limits", "expected"),
    [
        ([NEW, OLD], {}, NO_LIMITS, ["old", "new"]),
        ([OLD], {"a": 1}, Limits(1), []),
        ([OLD], {"b": 1}, Limits(2, 1), ["old"]),
        ([OLD, NEW], {}, Limits(9, 1), ["old"]),
        ([OLD, NEW], {"a": 1}, Limits(9, 1), []),
        ([OLD, NEW, OTHER], {"a": 1}, Limits(2), ["other"]),
        ([OLD, NEW, OTHER], {}, Limits(2), ["old", "other"]),
        ([OLD, NEW, OTHER], {"a": 3, "b": 3}, Limits(7), ["old"]),
        ([OLD, NEW], {}, Limits(9, 5, {"a": 1}), ["old"]),
        ([OLD, NEW], {}, Limits(9, 1, {"a": 5}), ["old"]),
        ([OLD], {"a": 7}, Limits(3), []),
        ([], {}, NO_LIMITS, []),
        ([OLD, waits("a/urgent", 1, 5)], {}, Limits(1), ["urgent"]),
        ([OTHER, waits("a/urgent", 1, 5)], {"a": 1}, Limits(2), ["other"]),
        ([waits("b/b", 30), waits("a/urgent", 1, 5), OLD], {}, Limits(1), ["urgent"]),
    ],
    ids=[
        "no limit", "cluster full", "room", "one of a namespace", "namespace full", "fewest first", "in turn",
        "longest first", "a limit of its own", "the lower limit counts", "limits that were lowered", "nobody",
        "priority", "no priority over others", "a namespace has waited as long as any of it",
    ],
)  # fmt: skip
def test_who_starts(waiting, running, limits, expected):
    assert [each.name for each in admit(Line(waiting), running, limits)] == expected


def test_of_namespaces_with_as_much_that_runs_the_one_starts_that_did_longest_ago():
    """Where one run goes on at a time, all of them have none when it ends."""
    assert admit(Line([OLD, NEW, OTHER]), {}, Limits(1), {"a": 2, "b": 1}) == (OTHER,)
    assert admit(Line([OLD, NEW, OTHER]), {}, Limits(1), {"a": 2}) == (OTHER,)
    assert admit(Line([OLD, NEW, OTHER]), {}, Limits(1), {"b": 3}) == (OLD,)


def test_the_order_is_that_of_the_starts():
    many = [waits(f"a/{number}", 100 - number) for number in range(4)]
    ordered = [f"{each.namespace}/{each.name}" for each in queue_of(Line([OTHER, *many]), {"a": 1})]
    assert ordered == ["b/other", "a/0", "a/1", "a/2", "a/3"]
