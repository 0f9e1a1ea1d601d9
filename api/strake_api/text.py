"""Text of other people's making that a person reads in a terminal.

What a step prints, what a Dockerfile says and what a registry answers may hold escape sequences, which set a
terminal's title, move its cursor over what was written before, or answer questions in the user's name. Such
characters are shown, not obeyed. Of what a step prints, which is full of them, escape sequences are left out
but for colours.
"""

from __future__ import annotations

import re
from typing import Final

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1, without tab and line feed: ESC, CSI, backspace …
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction (Unicode Annex 9), which reorders what is read
    "\u2028\u2029"  # line ends that are not taken for such everywhere
    "\ud800-\udfff"  # halves of characters, which no terminal can be sent
    "\U000e0000-\U000e007f"  # tags, which nobody sees
    "]+"
)


_SEQUENCE: Final = re.compile(
    "(?:\x1b\\[|\x9b)(?P<values>[0-?]*)(?P<end>[ -/]*[@-~])"  # CSI
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c|$)"  # OSC, DCS, …
    "|\x1b[ -/]*[0-~]"  # others of two characters and more
)
"""Escape sequences. Source: ECMA-48, section 5."""
_COLOUR: Final = re.compile("\x1b\\[[0-9;:]*m")
_END: Final = "\x1b[0m"
_CONCEALED: Final = "8"
_EXTENDED: Final = {"38", "48", "58"}
"""Begin a colour of several numbers (ITU T.416): 38;5;N or 38;2;R;G;B."""


def coloured(text: str) -> str:
    """Return a line with the escape sequences for colours alone, which end with it.

    Other sequences are left out, and what else a terminal would obey is shown. So is a sequence that would
    hide text.
    """
    if _OBEYED.search(text) is None:
        return text
    pieces, at, last = list[str](), 0, ""
    for found in _SEQUENCE.finditer(text):
        pieces.append(visible(text[at : found.start()]))
        at = found.end()
        if found["end"] == "m" and _is_colour(found["values"]):
            last = f"\x1b[{found['values']}m"
            pieces.append(last)
    pieces.append(visible(text[at:]))
    if last not in {"", "\x1b[m", _END}:
        pieces.append(_END)
    return "".join(pieces)


def without_colours(text: str) -> str:
    """Return what `coloured` returned without its colours."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def _is_colour(values: str) -> bool:
    if not set(values) <= set("0123456789;:"):
        return False
    numbers = iter(values.split(";"))
    for number in numbers:
        if number.lstrip("0") == _CONCEALED:
            return False
        if number in _EXTENDED:
            for _ in range({"5": 1, "2": 3}.get(next(numbers, ""), 0)):
                next(numbers, None)
    return True


def visible(text: str) -> str:
    """Return a text with everything that a terminal would obey in the notation of Python's escapes.

    Line feeds and tabs stay, so a text of several lines stays one. Colours are escape sequences too, and are
    shown as such.
    """
    return _OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
