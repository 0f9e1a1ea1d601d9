"""What a cancellation ends, in which order, and what it leaves alone."""

from __future__ import annotations

import threading

import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.http.last_words import LAST_WORDS, allowed_seconds, end_wait_on_cancel, last_words
from tests.fixtures.narrow import present

FIRST, SECOND = RuntimeError("first"), RuntimeError("second")


@pytest.fixture
def cancellation():
    return Cancellation()


def test_the_first_reason_counts(cancellation):
    cancellation.check()
    assert (cancellation.reason, cancellation.moment) == (None, None)
    cancellation.cancel(FIRST)
    moment = cancellation.moment
    cancellation.cancel(SECOND)
    with pytest.raises(RuntimeError, match="first"):
        cancellation.check()
    assert (cancellation.reason, cancellation.moment) == (FIRST, moment)


def test_callbacks_are_called_once_with_the_reason_early_or_late(cancellation):
    called = []
    cancellation.on_cancel(lambda reason: called.append(("early", reason)))
    cancellation.cancel(FIRST)
    cancellation.on_cancel(lambda reason: called.append(("late", reason)))
    cancellation.cancel(SECOND)
    assert called == [("early", FIRST), ("late", FIRST)]


def test_a_part_is_cancelled_with_the_whole_and_not_the_reverse(cancellation):
    part, sibling = Cancellation(cancellation), Cancellation(cancellation)
    part.cancel(FIRST)
    assert (part.reason, cancellation.reason, sibling.reason) == (FIRST, None, None)
    cancellation.cancel(SECOND)
    assert (part.reason, cancellation.reason, sibling.reason) == (FIRST, SECOND, SECOND)
    assert Cancellation(Cancellation(cancellation)).reason is SECOND


def test_a_part_may_cancel_the_whole_from_its_callback(cancellation):
    part = Cancellation(cancellation)
    part.on_cancel(cancellation.cancel)
    part.cancel(FIRST)
    assert cancellation.reason is FIRST


def test_part_and_whole_may_be_cancelled_at_once():
    for _ in range(200):
        whole = Cancellation()
        part = Cancellation(whole)
        part.on_cancel(whole.cancel)
        both = threading.Barrier(2)
        threads = [
            threading.Thread(
                target=lambda token, both=both: (both.wait(10), token.cancel(FIRST)), args=[token]
            )
            for token in (whole, part)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert (whole.reason, part.reason) == (FIRST, FIRST)


def test_what_was_taken_back_is_not_called(cancellation):
    called = []
    with cancellation.ending(lambda: called.append("inside")):
        pass
    taken = cancellation.on_cancel(called.append)
    taken()
    taken()
    cancellation.cancel(FIRST)
    assert called == []


def test_taking_back_waits_for_the_call_that_is_under_way(cancellation):
    """What a callback uses, a descriptor or a process, may be given away afterwards."""
    begun, ended, order = threading.Event(), threading.Event(), []

    def slow(_reason: Exception) -> None:
        begun.set()
        ended.wait(10)
        order.append("called")

    take_back = cancellation.on_cancel(slow)
    canceller = threading.Thread(target=cancellation.cancel, args=[FIRST])
    canceller.start()
    assert begun.wait(10)

    def take() -> None:
        take_back()
        order.append("taken back")

    taker = threading.Thread(target=take)
    taker.start()
    taker.join(0.05)
    assert taker.is_alive()
    ended.set()
    taker.join(10)
    canceller.join(10)
    assert order == ["called", "taken back"]


def test_a_callback_may_take_itself_back(cancellation):
    order: list[str] = []

    def once(_reason: Exception) -> None:
        take_back()
        order.append("taken back")

    take_back = cancellation.on_cancel(once)
    cancellation.cancel(FIRST)
    assert order == ["taken back"]


def test_a_wait_ends_with_the_cancellation(cancellation):
    assert not cancellation.wait(0)
    threading.Timer(0.01, cancellation.cancel, [FIRST]).start()
    assert cancellation.wait(60)


class TestLastWords:
    def test_a_thread_waits_as_long_as_it_wants(self, cancellation):
        assert allowed_seconds(cancellation, 60) == 60
        assert allowed_seconds(cancellation, None) is None

    def test_nothing_is_waited_for_afterwards(self, cancellation):
        cancellation.cancel(FIRST)
        assert allowed_seconds(cancellation, 60) == 0

    def test_last_words_are_short_and_all_of_them_together(self, cancellation):
        cancellation.cancel(FIRST)
        with last_words():
            assert 0 < present(allowed_seconds(cancellation, None)) <= LAST_WORDS
        with last_words():
            assert 0 < present(allowed_seconds(cancellation, 60)) <= LAST_WORDS
        assert allowed_seconds(cancellation, 60) == 0

    def test_another_thread_has_none_of_them(self, cancellation):
        cancellation.cancel(FIRST)
        found = []
        with last_words():
            other = threading.Thread(target=lambda: found.append(allowed_seconds(cancellation, 60)))
            other.start()
            other.join()
        assert found == [0]

    def test_a_connection_for_them_is_not_cut(self, cancellation):
        cut = []
        cancellation.cancel(FIRST)
        with last_words():
            end_wait_on_cancel(cancellation, lambda: cut.append("last words"))
        end_wait_on_cancel(cancellation, lambda: cut.append("too late"))
        assert cut == ["too late"]

    def test_a_connection_that_was_made_for_them_is_cut_later(self, cancellation):
        cut = []
        with last_words():
            end_wait_on_cancel(cancellation, lambda: cut.append("kept in the pool"))
        cancellation.cancel(FIRST)
        assert cut == ["kept in the pool"]
