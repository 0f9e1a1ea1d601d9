"""A blob over several connections: faster where one is slow, and in every other respect as over one."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from strake_oci.errors import DigestMismatchError
from strake_oci.registry.blobs import range_fetch
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.faults import faults, moves
from tests.faults.moves import LARGE, pull
from tests.faults.registry import FaultyRegistry

LIMIT = 120
"""Seconds in which what must happen happens."""


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture(autouse=True)
def in_parts(monkeypatch):
    moves.always_in_parts(monkeypatch)


def asked_parts(registry) -> list[tuple[int, int]]:
    """The parts that were asked for: first byte and last."""
    ranges = [seen.headers.get("Range", "").removeprefix("bytes=") for seen in registry.seen]
    parts = [each.partition("-") for each in ranges if each and not each.endswith("-")]
    return [(int(first), int(last)) for first, _, last in parts]


def part_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("part-")]


def await_no_threads() -> None:
    for thread in part_threads():
        thread.join(LIMIT)
    assert not part_threads()


def on_parts(act, *, times: int, skip: int = 0):
    """A fault of requests for parts alone."""
    return faults.sometimes(
        lambda exchange: (
            False if exchange.headers.get("Range", "-").endswith("-") else bool(act(exchange)) or True
        ),
        method="GET",
        path="/blobs/",
        times=times,
        skip=skip,
    )


def test_every_byte_is_fetched_once_over_four_connections(registry):
    assert pull(registry, LARGE) == LARGE
    found = sorted(asked_parts(registry))
    assert found[-1][1] == len(LARGE) - 1
    assert all(one[1] + 1 == other[0] for one, other in pairwise(found))
    assert found[0][0] <= range_fetch.PART + 2 * 256 * 1024  # the first connection brought what is before
    assert registry.connections <= 1 + range_fetch.CONNECTIONS
    await_no_threads()


def test_a_fast_connection_needs_no_help(registry, monkeypatch):
    monkeypatch.setattr(range_fetch, "SLOW", 0.0)
    assert pull(registry, LARGE) == LARGE
    assert len(registry.seen) == 1


def test_a_little_that_is_left_is_not_worth_it(registry, monkeypatch):
    monkeypatch.setattr(range_fetch, "WORTH", len(LARGE))
    assert pull(registry, LARGE) == LARGE
    assert len(registry.seen) == 1


def test_where_range_is_ignored_one_connection_brings_it(registry):
    registry.ignore_range = True
    assert pull(registry, LARGE) == LARGE
    assert len(registry.seen) <= 1 + range_fetch.CONNECTIONS


@pytest.mark.parametrize("skip", [0, 6])
@pytest.mark.parametrize("code", [403, 404, 416, 429, 500])
def test_parts_that_are_refused(registry, code, skip):
    registry.add(on_parts(lambda exchange: exchange.error(code, "UNKNOWN"), times=2, skip=skip))
    assert pull(registry, LARGE) == LARGE


@pytest.mark.parametrize("after", [0, 1, 100_000, 299_999])
def test_parts_that_break_off(registry, after):
    def break_off(exchange):
        data = exchange.registry.store.blobs["team/app", exchange.route.rpartition("/")[2]]
        start, stop = exchange.wanted(len(data))
        exchange.send_response(206)
        exchange.send_header("Content-Length", str(stop - start))
        exchange.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        exchange.end_headers()
        exchange.wfile.write(data[start : start + after])
        exchange.hang_up()

    registry.add(on_parts(break_off, times=5, skip=2))
    assert pull(registry, LARGE) == LARGE


@pytest.mark.parametrize(
    "answer",
    [
        lambda data, start, stop: (data[start : stop + 1], start, stop),
        lambda data, start, stop: (data[start : stop - 1], start, stop - 2),
        lambda data, start, stop: (data[start : stop - 1], start, stop - 1),
        lambda data, start, stop: (data[start - 1 : stop - 1], start - 1, stop - 2),
        lambda data, start, stop: (data, 0, len(data) - 1),
    ],
    ids=["a byte more", "a byte less", "a byte less than it says", "a byte off", "everything"],
)
def test_parts_other_than_those_asked_for(registry, answer):
    def other(exchange):
        data = exchange.registry.store.blobs["team/app", exchange.route.rpartition("/")[2]]
        body, first, last = answer(data, *exchange.wanted(len(data)))
        exchange.reply(206, body, Content_Range=f"bytes {first}-{last}/{len(data)}")

    registry.add(on_parts(other, times=99))
    assert pull(registry, LARGE) == LARGE


def test_a_wrong_part_never_reaches_the_end(registry):
    def wrong(exchange):
        data = exchange.registry.store.blobs["team/app", exchange.route.rpartition("/")[2]]
        start, stop = exchange.wanted(len(data))
        exchange.reply(206, bytes(stop - start), Content_Range=f"bytes {start}-{stop - 1}/{len(data)}")

    registry.add(on_parts(wrong, times=1, skip=3))
    registry.put_blob(LARGE)
    got: list[bytes] = []
    with (
        registry.client() as client,
        client.open_blob(registry.repository(), Descriptor.of("x", LARGE)) as blob,
        pytest.raises(DigestMismatchError),
    ):
        got.extend(iter(lambda: blob.read(65536), b""))
    assert sum(map(len, got)) < len(LARGE)
    await_no_threads()


def test_whoever_reads_slowly_is_not_fed_more_than_four_parts(registry):
    registry.put_blob(LARGE)
    with (
        registry.client() as client,
        client.open_blob(registry.repository(), Descriptor.of("x", LARGE)) as blob,
    ):
        while not asked_parts(registry):
            blob.read(1)
        deadline = time.monotonic() + LIMIT
        while len(asked_parts(registry)) < range_fetch.CONNECTIONS and time.monotonic() < deadline:
            time.sleep(0.01)  # the threads ask in their own time
        client.blob_exists(registry.repository(), Digest.sha256(b"x"))  # time enough for a fifth
        assert len(asked_parts(registry)) == range_fetch.CONNECTIONS
        rest = blob.read()
    assert LARGE.endswith(rest)


def test_closed_in_the_middle_it_leaves_no_thread_and_the_next_blob_is_helped(registry):
    other = LARGE[1:]
    for data in (LARGE, other):
        registry.put_blob(data)
    with registry.client() as client:
        with client.open_blob(registry.repository(), Descriptor.of("x", LARGE)) as blob:
            blob.read(range_fetch.PART * 2)
        await_no_threads()
        before = len(asked_parts(registry))
        with client.open_blob(registry.repository(), Descriptor.of("x", other)) as blob:
            assert blob.read() == other
    assert len(asked_parts(registry)) > before > 0


def test_one_blob_at_a_time_is_helped(registry):
    other = LARGE[1:]
    for data in (LARGE, other):
        registry.put_blob(data)
    with (
        registry.client() as client,
        client.open_blob(registry.repository(), Descriptor.of("x", LARGE)) as one,
        client.open_blob(registry.repository(), Descriptor.of("x", other)) as two,
    ):
        start = b"".join(one.read(1 << 20) for _ in range(2))
        assert two.read() == other
        assert start + one.read() == LARGE
    by_blob = {seen.path for seen in registry.seen if not seen.headers.get("Range", "-").endswith("-")}
    assert len(by_blob) == 1
