"""A stream that another thread reads is the same stream: bytes, end, errors; and the thread ends."""

from __future__ import annotations

import io
import threading

import pytest

from strake_builder.layers.read_ahead import ReadAhead


def _all(stream: ReadAhead, size: int) -> bytes:
    return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("length", [0, 1, 256 << 10, (256 << 10) + 1, 5_000_000])
@pytest.mark.parametrize("size", [1 << 9, 1 << 20])
def test_gives_the_same_bytes(length, size):
    data = bytes(range(251)) * (length // 251 + 1)
    with ReadAhead(io.BytesIO(data[:length])) as stream:
        assert _all(stream, size) == data[:length]
        assert stream.read(size) == b""


class _Broken:
    def __init__(self) -> None:
        self.pieces = [b"good"]

    def read(self, size: int, /) -> bytes:
        if self.pieces:
            return self.pieces.pop()
        raise ValueError("the line went dead")


def test_passes_an_error_on_after_what_came_before_it():
    with ReadAhead(_Broken()) as stream:
        assert stream.read(100) == b"good"
        with pytest.raises(ValueError, match="the line went dead"):
            stream.read(100)
        assert stream.read(100) == b""


class _Endless:
    def read(self, size: int, /) -> bytes:
        return bytes(size)


def test_ends_its_thread_when_nobody_reads_on():
    before = threading.active_count()
    with ReadAhead(_Endless()) as stream:
        stream.read(1)
    assert threading.active_count() == before


def test_does_not_run_far_ahead():
    class Counted(_Endless):
        total = 0

        def read(self, size: int, /) -> bytes:
            self.total += size
            return super().read(size)

    source = Counted()
    with ReadAhead(source) as stream:
        for _ in range(100):
            stream.read(1 << 20)
            assert source.total < 101 * (1 << 20) + (4 << 20)
