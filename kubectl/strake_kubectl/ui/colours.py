"""Colours of a log's lines: what a step prints may set them, and nothing else.

Of escape sequences those for colours have an effect (SGR, ECMA-48, section 8.3.117); all else is shown, as in
every other text. A colour becomes names of classes, of the few that the style sheet has, each of them legible
in light pages and in dark ones. So no line hides what it says: a background takes the page's own colour for
its text, whatever colour the text was to have, and concealed or blinking text is text. A line ends what it
began.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from strake_api.text import visible

_SGR: Final = re.compile("\x1b\\[([0-9;:]{0,64})m")
_MOST: Final = 64
"""Changes of colour in a line; after those its text is plain. A page has thousands of lines."""
_EXTENDED: Final = frozenset({38, 48})
_LENGTHS: Final = {5: 1, 2: 3}
"""Kind of an extended colour → how many numbers it has (ITU T.416)."""
_HUES: Final = (1, 3, 2, 6, 4, 5)
"""Around the circle of hues: red, yellow, green, cyan, blue, magenta."""
_FAINT: Final = 0.25
"""Saturation of what counts as grey."""


class Piece(NamedTuple):
    """A part of a line.

    Attributes:
        style: Names of classes of the style sheet; empty where the text is plain.
        text: With nothing in it that is obeyed.
    """

    style: str
    text: str


@dataclass(frozen=True, slots=True)
class _Style:
    """What sequences have set: colours from 0 to 7, and classes."""

    colour: int | None = None
    background: int | None = None
    inverse: bool = False
    marks: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        colour, background = self.colour, self.background
        if self.inverse:
            colour, background = background, 7 if colour is None else colour
        shown = [] if background is None else [f"on{background}"]
        if colour is not None and background is None:
            shown = [f"fg{colour}"]
        return " ".join(shown + sorted(self.marks - ({"faint"} if shown else set())))


def pieces(line: str) -> tuple[Piece, ...]:
    """Return the pieces of a line as it came, of which neighbours differ in style."""
    found: list[Piece] = []
    style, at = _Style(), 0
    for count, sequence in enumerate(_SGR.finditer(line)):
        _append(found, style, line[at : sequence.start()])
        at = sequence.end()
        style = _changed(style, _numbers(sequence[1])) if count < _MOST else _Style()
    _append(found, style, line[at:])
    return tuple(found)


def plain(line: tuple[Piece, ...]) -> str:
    """Return a line's text."""
    return "".join(piece.text for piece in line)


def _append(found: list[Piece], style: _Style, text: str) -> None:
    if not text:
        return
    if found and found[-1].style == style.classes:
        found[-1] = Piece(found[-1].style, found[-1].text + visible(text))
    else:
        found.append(Piece(style.classes, visible(text)))


def _numbers(values: str) -> Iterator[int]:
    # 38:2:R:G:B and 38:2:SPACE:R:G:B are written with colons as well; an empty number is 0.
    for part in values.split(";"):
        numbers = [int(number[:9] or 0) for number in part.split(":")]
        if numbers[0] in _EXTENDED and len(numbers) > 1:
            kind = numbers[1]
            yield from (numbers[0], kind, *numbers[-_LENGTHS.get(kind, 1) :])
        else:
            yield numbers[0]


def _changed(style: _Style, numbers: Iterator[int]) -> _Style:
    for number in numbers:
        match number:
            case 0:
                style = _Style()
            case 38:
                style = replace(style, colour=_extended(numbers))
            case 48:
                style = replace(style, background=_extended(numbers))
            case 7 | 27:
                style = replace(style, inverse=number == 7)  # noqa: PLR2004 - SGR's numbers
            case 39:
                style = replace(style, colour=None)
            case 49:
                style = replace(style, background=None)
            case _ if 30 <= number <= 37 or 90 <= number <= 97:  # noqa: PLR2004 - SGR's numbers
                style = replace(style, colour=number % 10)
            case _ if 40 <= number <= 47 or 100 <= number <= 107:  # noqa: PLR2004 - SGR's numbers
                style = replace(style, background=number % 10)
            case _:
                style = replace(style, marks=_marked(style.marks, number))
    return style


def _marked(marks: frozenset[str], number: int) -> frozenset[str]:
    match number:
        case 1:
            return marks | {"bold"}
        case 2:
            return marks | {"faint"}
        case 3:
            return marks | {"italic"}
        case 4:
            return marks | {"underlined"}
        case 22:
            return marks - {"bold", "faint"}
        case 23:
            return marks - {"italic"}
        case 24:
            return marks - {"underlined"}
        case _:
            return marks


def _extended(numbers: Iterator[int]) -> int | None:
    """Return the nearest of the eight colours."""
    kind = next(numbers, 0)
    given = [next(numbers, 0) for _ in range(_LENGTHS.get(kind, 0))]
    if kind == 2:  # noqa: PLR2004 - ITU T.416: a colour by its red, green and blue
        return _nearest(*(min(value, 255) for value in given))
    if not given:
        return None
    (index,) = given
    if index < 16:  # noqa: PLR2004 - xterm's 256 colours: those of a terminal, a cube of 6 by 6 by 6, greys
        return index % 8
    if index < 232:  # noqa: PLR2004 - where the greys begin
        cube = index - 16
        return _nearest(*(51 * level for level in (cube // 36, cube // 6 % 6, cube % 6)))
    return _nearest(*(8 + 10 * (min(index, 255) - 232),) * 3)


def _nearest(red: int, green: int, blue: int) -> int:
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if saturation < _FAINT or value < _FAINT:
        return 7 if value > 0.5 else 0  # noqa: PLR2004 - the middle
    return _HUES[round(hue * len(_HUES)) % len(_HUES)]
