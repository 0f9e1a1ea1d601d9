"""Colours of a line: what a sequence for colours means, and that nothing else means anything."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.text import visible
from strake_kubectl.ui.colours import Piece, pieces, plain
from strake_kubectl.ui.pages import asset

CLASSES = {
    *(f"fg{n}" for n in range(8)),
    *(f"on{n}" for n in range(8)),
    "bold",
    "faint",
    "italic",
    "underlined",
}


@pytest.mark.parametrize(
    ("sequence", "style"),
    [
        ("31", "fg1"),
        ("91", "fg1"),
        ("1;32", "fg2 bold"),
        ("4;3", "italic underlined"),
        ("2", "faint"),
        ("2;33", "fg3"),
        ("44", "on4"),
        ("30;44", "on4"),
        ("104", "on4"),
        ("7", "on7"),
        ("7;31", "on1"),
        ("7;41", "on7"),
        ("31;7;27", "fg1"),
        ("31;39", ""),
        ("41;49", ""),
        ("1;31;0", ""),
        ("1;31;", ""),
        ("1;2;3;4;22;23;24", ""),
        ("38;5;9", "fg1"),
        ("38;5;46", "fg2"),
        ("38;5;201", "fg5"),
        ("38;5;255", "fg7"),
        ("38;5;232", "fg0"),
        ("48;5;21", "on4"),
        ("38;2;255;0;0", "fg1"),
        ("38;2;255;255;0", "fg3"),
        ("38:2:0:255:255", "fg6"),
        ("38:2::0:0:255", "fg4"),
        ("38:5:201", "fg5"),
        ("38;2;999;0;0", "fg1"),
        ("38;5", "fg0"),
        ("38", ""),
        ("8", ""),
        ("5", ""),
        ("99999999", ""),
    ],
)
def test_a_colour_is_a_class(sequence, style):
    assert pieces(f"a\x1b[{sequence}mb\x1b[0mc") == (
        (Piece("", "a"), Piece(style, "b"), Piece("", "c")) if style else (Piece("", "abc"),)
    )


def test_no_text_has_the_colour_of_its_background():
    """Where a background is asked for, the text has the page's own colour."""
    for text in range(30, 38):
        for background in range(40, 48):
            ((style, _),) = pieces(f"\x1b[{text};{background}mhidden")
            assert style == f"on{background - 40}"


@pytest.mark.parametrize(
    "sequence",
    ["\x1b[2J", "\x1b[1A", "\x1b]0;title\x07", "\x1b]8;;https://evil.example\x07", "\x9b31m", "\x1b[?25l",
     "\x1b[>4;2m", "\x1bc", "\x1b[31", "\r", "\b", "\u202e"],
)  # fmt: skip
def test_all_else_is_shown(sequence):
    assert pieces(f"a{sequence}b") == (Piece("", visible(f"a{sequence}b")),)


def test_a_line_of_many_colours_ends_in_none():
    found = pieces("\x1b[31ma\x1b[32mb" * 5000)
    assert len(found) < 70
    assert found[-1].style == ""
    assert plain(found) == "ab" * 5000


@given(st.text(st.sampled_from('\x1b[;:m0123456789ab<\u202e\x9b\\&"')))
def test_of_any_text_pieces_are_classes_and_what_may_be_shown(text):
    found = pieces(text)
    assert {word for style, _ in found for word in style.split()} <= CLASSES
    assert plain(found) == visible(re.sub("\x1b\\[[0-9;:]{0,64}m", "", text))
    assert all(left.style != right.style for left, right in pairwise(found))


def test_the_style_sheet_has_every_class():
    style = asset("ui.css")
    assert all(f".{each} {{" in style for each in CLASSES)
