"""A log in memory: bounded, with whole lines and a word on what is missing."""

from __future__ import annotations

import re

import pytest

from strake_builder.gateway.kept_log import KeptLog

LEFT_OUT = re.compile(rb"^== (\d+) bytes of this log are left out here: it was too long$", re.MULTILINE)


def kept(*pieces: bytes, beginning: int = 100, end: int = 200) -> bytes:
    log = KeptLog(beginning, end)
    for piece in pieces:
        log.add(piece)
    return log.content()


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 299, 300])
def test_a_log_that_fits_is_whole(size, total):
    data = b"".join(b"%d" % (at % 10) for at in range(total))
    assert kept(*(data[at : at + size] for at in range(0, total, size))) == data


@pytest.mark.parametrize("size", [1, 7, 64, 5000])
def test_of_one_that_is_too_long_the_middle_is_left_out_and_told(size):
    data = b"".join(b"#3 | line %05d\n" % at for at in range(1000))
    found = kept(*(data[at : at + size] for at in range(0, len(data), size)))
    (told,) = LEFT_OUT.findall(found)
    before, after = LEFT_OUT.split(found)[::2]
    assert data.startswith(before)
    assert data.endswith(after.removeprefix(b"\n"))
    assert int(told) == len(data) - len(before) - len(after.removeprefix(b"\n"))
    assert len(found) < 400
    lines = [line for line in found.splitlines() if not line.startswith(b"==")]
    assert all(re.fullmatch(rb"#3 \| line \d{5}", line) for line in lines)


def test_a_line_without_end_is_cut_all_the_same():
    found = kept(b"x" * 10_000)
    assert len(LEFT_OUT.findall(found)) <= 1
    assert len(found) < 400


def test_memory_is_bounded_by_the_limits():
    log = KeptLog(100, 1 << 16)
    for _ in range(1000):
        log.add(b"y" * 4096)
    assert len(log.content()) < (1 << 16) + 300
