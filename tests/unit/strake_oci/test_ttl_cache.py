"""Values that threads share while they are good, and while somebody gets them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from strake_oci import ttl_cache
from strake_oci.ttl_cache import TTLCache

THREADS = 8


@pytest.fixture
def waiting(monkeypatch):
    """Counts the threads that have begun to wait for another."""
    count = threading.Semaphore(0)

    class Counted(Future):
        def result(self, timeout=None):
            count.release()
            return super().result(timeout)

    monkeypatch.setattr(ttl_cache, "Future", Counted)
    return count


def together(known, make):
    with ThreadPoolExecutor(THREADS) as pool:
        return [pool.submit(known.get, "key", make) for _ in range(THREADS)]


def test_one_gets_it_for_all(waiting):
    made = []

    def make():
        for _ in range(THREADS - 1):
            waiting.acquire()
        made.append(1)
        return "value", 60.0

    assert [each.result() for each in together(TTLCache(), make)] == ["value"] * THREADS
    assert len(made) == 1


def test_one_fails_for_all_and_the_next_one_tries_again(waiting):
    """Else a server that is down would be waited for by each thread in turn."""
    made = []

    def make():
        for _ in range(THREADS - 1):
            waiting.acquire()
        made.append(1)
        raise OSError("down")

    known: TTLCache[str, str] = TTLCache()
    assert [str(each.exception()) for each in together(known, make)] == ["down"] * THREADS
    assert len(made) == 1
    assert known.get("key", lambda: ("up", 60.0)) == "up"


def test_what_is_stale_or_too_old_is_got_anew():
    now = [0.0]
    known: TTLCache[str, int] = TTLCache(lambda: now[0])
    values = iter(range(9))

    def make():
        return next(values), 10.0

    assert known.get("key", make) == known.get("key", make) == 0
    assert known.get("key", make, stale=0) == 1
    assert known.get("key", make, stale=0) == 1
    now[0] = 9.9
    assert known.get("key", make) == 1
    now[0] = 10.0
    assert known.get("key", make) == 2
    assert known.get("other", make) == 3
