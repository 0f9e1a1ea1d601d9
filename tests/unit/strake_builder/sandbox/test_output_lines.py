"""A step's output in lines, whatever a step prints."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.sandbox.output_lines import LINE_LIMIT, OutputLines, pump

LINES = st.integers(min_value=0, max_value=200).map(
    lambda many: b"".join(b"%d\n" % each for each in range(many))
)


def ignore(stream: str, text: str) -> None:
    """Take a line, and do nothing."""


@pytest.fixture
def seen():
    return []


@pytest.fixture
def lines(seen):
    return OutputLines(lambda stream, text: seen.append((stream, text)), limit=1000)


def test_lines_are_put_together_from_pieces(lines, seen):
    for piece in (b"on", b"e\ntw", b"o\n", b"three"):
        lines.feed("stdout", piece)
    lines.finish()
    assert [text for _, text in seen] == ["one", "two", "three"]


def test_streams_do_not_mix(lines, seen):
    lines.feed("stdout", b"a")
    lines.feed("stderr", b"x\n")
    lines.feed("stdout", b"b\n")
    assert seen == [("stderr", "x"), ("stdout", "ab")]


def test_a_line_without_end_is_cut():
    seen = []
    lines = OutputLines(lambda _, text: seen.append(text))
    for _ in range(10):
        lines.feed("stdout", b"x" * 10_000)
    lines.finish()
    assert max(map(len, seen)) <= LINE_LIMIT
    assert sum(map(len, seen)) == 100_000


def test_output_over_the_limit_is_dropped_with_a_word_and_its_end_is_kept(lines, seen):
    for number in range(1000):
        lines.feed("stdout", b"line %d\n" % number)
    lines.finish()
    assert len(seen) < 200
    assert "not shown" in seen[-1][1]
    assert lines.tail[-1] == "line 999"


def test_what_is_shown_longer_than_it_was_counts_for_that(lines, seen):
    lines.feed("stdout", b"\0" * 300 + b"\n" + b"more\n")
    assert [text for _, text in seen] == [
        r"\x00" * 300,
        "… output over 0 MiB is not shown; its end is in the result",
    ]
    assert lines.tail == (r"\x00" * 300, "more")


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=200) | LINES)))
def test_the_end_is_the_same_whether_it_is_passed_on_or_dropped(pieces):
    passed, dropped = OutputLines(ignore, limit=1 << 30), OutputLines(ignore, limit=1)
    for stream, piece in pieces:
        passed.feed(stream, piece)
        dropped.feed(stream, piece)
    passed.finish()
    dropped.finish()
    assert dropped.tail == passed.tail


def test_a_line_counts_for_what_it_costs_on_its_way(lines, seen):
    """`yes` writes eight million lines in 16 MiB, each of which a pod's log keeps with its time."""
    lines.feed("stdout", b"y\n" * 500)
    assert len(seen) < 50
    assert "not shown" in seen[-1][1]
    assert lines.tail[-1] == "y"


def test_what_is_not_text_is_shown_all_the_same(lines, seen):
    lines.feed("stdout", b"\xff\xfe\n")
    assert seen == [("stdout", "\ufffd\ufffd")]


@pytest.mark.parametrize(("raw", "shown"), [(b"a\r\n", "a"), (b"10%\r20%\r30%\n", "30%"), (b"\r\n", "")])
def test_carriage_returns_overwrite(lines, seen, raw, shown):
    lines.feed("stdout", raw)
    assert seen == [("stdout", shown)]


def test_both_pipes_are_read_to_their_ends(seen):
    lines = OutputLines(lambda stream, text: seen.append((stream, text)))
    out, out_writer = os.pipe()
    err, err_writer = os.pipe()

    def write() -> None:
        for number in range(50):
            os.write(out_writer if number % 2 else err_writer, b"%d\n" % number)
        os.close(out_writer)
        os.close(err_writer)

    writer = threading.Thread(target=write)
    writer.start()
    pump(out, err, lines)
    writer.join()
    for fd in (out, err):
        os.close(fd)
    assert {int(text) for _, text in seen} == set(range(50))
