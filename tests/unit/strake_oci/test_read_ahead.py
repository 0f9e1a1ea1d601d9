"""Reading ahead changes nothing but when it is read."""

from __future__ import annotations

import threading

import pytest

from strake_oci.registry.ahead import PIECES, read_ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_it_gives_the_same_pieces():
    pieces = [bytes([n % 256]) for n in range(1000)]
    assert list(read_ahead(iter(pieces))) == pieces
    assert threads() == []


def test_what_reading_raises_comes_after_the_pieces_before_it():
    def broken():
        yield b"one"
        raise ValueError("two")

    pieces = read_ahead(broken())
    assert next(pieces) == b"one"
    with pytest.raises(ValueError, match="two"):
        next(pieces)
    assert threads() == []


def test_it_reads_no_further_ahead_than_it_says():
    read, enough = [], threading.Event()

    def counted():
        for n in range(1000):
            read.append(n)
            if n == PIECES + 1:
                enough.set()
            yield b"x"

    pieces = read_ahead(counted())
    next(pieces)
    assert enough.wait(10), "it reads while nothing is asked for"
    assert len(read) <= PIECES + 2
    pieces.close()
    assert len(read) <= 2 * PIECES + 4, "nobody asks any more"
    assert threads() == []
