"""Who waits starts, whatever the others do: within the limits, in turn, and no namespace starves."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from strake_operator.reconcile.admission.admit import Limits, Line, Waiting, admit, queue_of
from tests.unit.strake_operator.builders import NOW

NAMESPACES = st.sampled_from("abcd")
LIMITS = st.one_of(st.none(), st.integers(1, 6))
WAITING = st.lists(
    st.builds(
        lambda namespace, seconds, priority: (namespace, NOW + timedelta(seconds=seconds), priority),
        NAMESPACES, st.integers(0, 100), st.integers(-1, 1),
    ),
    max_size=25,
)  # fmt: skip
RUNNING = st.dictionaries(NAMESPACES, st.integers(0, 4))


def named(drawn) -> list[Waiting]:
    return [Waiting(space, f"n{number}", since, rank) for number, (space, since, rank) in enumerate(drawn)]


@given(WAITING, RUNNING, LIMITS, LIMITS)
def test_no_limit_is_passed_and_no_place_stays_free(drawn, running, cluster, namespace):
    waiting, limits = named(drawn), Limits(cluster, namespace)
    chosen = admit(Line(waiting), running, limits)
    after = Counter(running) + Counter(each.namespace for each in chosen)
    assert len(set(chosen)) == len(chosen)
    assert cluster is None or sum(after.values()) <= max(cluster, sum(running.values()))
    for space, count in after.items():
        assert namespace is None or count <= max(namespace, running.get(space, 0))
    left = [each for each in waiting if each not in chosen]
    if cluster is None or sum(after.values()) < cluster:
        assert all(limits.is_full(each.namespace, after) for each in left), "there was room"


@given(WAITING, RUNNING)
def test_everybody_has_one_place_in_the_queue(drawn, running):
    waiting = named(drawn)
    assert sorted(queue_of(Line(waiting), running), key=hash) == sorted(waiting, key=hash)


ENDS = st.lists(st.tuples(NAMESPACES, st.integers(0, 9)), max_size=40)


@settings(max_examples=60)
@given(WAITING, ENDS, st.integers(1, 4))
def test_no_namespace_starves(drawn, ends, cluster):
    """A place gets free again and again, and others come all the time: each waiting namespace has its turn.

    One with nothing that runs waits for at most one start of each other namespace.
    """
    waiting, limits = named(drawn), Limits(cluster)
    running, served, passed = Counter[str](), dict[str, int](), dict[str, list[str]]()
    going: list[str] = []
    for number, (space, which) in enumerate(ends):
        waiting.append(Waiting(space, f"late{number}", NOW + timedelta(seconds=200 + number)))
        if len(going) == cluster:
            running[going.pop(which % cluster)] -= 1
        for each in admit(Line(waiting), running, limits, served):
            waiting.remove(each)
            running[each.namespace] += 1
            served[each.namespace] = max(served.values(), default=0) + 1
            going.append(each.namespace)
            passed.pop(each.namespace, None)
            idle = {one.namespace for one in waiting if not running[one.namespace]}
            passed = {one: [*passed.get(one, ()), each.namespace] for one in idle}
            assert all(len(set(others)) == len(others) for others in passed.values()), passed


@given(st.integers(2, 40), st.integers(1, 5))
def test_a_full_queue_delays_another_namespace_by_one_end(many, cluster):
    crowd = [Waiting("a", f"n{number}", NOW) for number in range(many)]
    single = Waiting("b", "single", NOW + timedelta(hours=1))
    (first,) = admit(Line([*crowd, single]), {"a": cluster}, Limits(cluster + 1))
    assert first == single


@given(WAITING, RUNNING, st.data())
def test_a_line_that_changed_is_as_a_new_one(drawn, running, data):
    waiting, line = named(drawn), Line()
    there: list[Waiting] = []
    for each in waiting:
        line.put(each)
        there.append(each)
        queue_of(line, running)
        if data.draw(st.booleans()):
            first = (
                queue_of(line, running)[0] if data.draw(st.booleans()) else data.draw(st.sampled_from(there))
            )
            assert line.drop(first.namespace, first.name)
            there.remove(first)
        assert queue_of(line, running) == queue_of(Line(there), running)
        assert len(line) == len(there)
