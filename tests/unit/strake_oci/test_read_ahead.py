"""A stream that another thread reads is the same stream: bytes, end, errors; and the thread ends."""

from __future__ import annotations

import io
import threading

import pytest

from strake_oci.read_ahead import PIECE, PIECES, ReadAhead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert readers() == []


class Counted:
    """A source without end that counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = threading.Condition()

    def read(self, size: int, /) -> bytes:
        with self.asked:
            self.count += 1
            self.asked.notify()
        return bytes(size)


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 5_000_000])
@pytest.mark.parametrize("size", [1 << 9, 1 << 20])
@pytest.mark.parametrize("piece", [1000, PIECE])
def test_it_gives_the_same_bytes(length, size, piece):
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    with ReadAhead(io.BytesIO(data), piece) as stream:
        assert b"".join(iter(lambda: stream.read(size), b"")) == data
        assert stream.read(size) == b""


def test_what_reading_raises_comes_after_what_came_before_it():
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not (piece := super().read(3)):
                raise ValueError("the line went dead")
            return piece

    with ReadAhead(Broken(b"good")) as stream:
        assert [stream.read(100), stream.read(100)] == [b"goo", b"d"]
        with pytest.raises(ValueError, match="the line went dead"):
            stream.read(100)
        assert stream.read(100) == b""


def test_its_thread_ends_when_nobody_reads_on():
    with ReadAhead(Counted()) as stream:
        assert stream.read(1) == b"\0"
    assert readers() == []


def test_nobody_need_read_at_all():
    with ReadAhead(Counted()):
        pass
    assert readers() == []


def test_it_reads_so_far_ahead_and_no_further():
    source = Counted()
    with ReadAhead(source) as stream:
        for used in range(1, 20):
            stream.read(PIECE)
            with source.asked:  # one more is in the hand of the thread, for which there is no room
                assert source.asked.wait_for(lambda: source.count == used + PIECES + 1, 10)  # noqa: B023 - called at once
        most = source.count
    assert source.count <= most + 1
