"""Text of other people's making that a person reads in a terminal.

What a step prints, what a Dockerfile says and what a registry answers may hold escape sequences, which set a
terminal's title, move its cursor over what was written before, or answer questions in the user's name. Such
characters are shown, not obeyed.
"""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1, without tab and line feed: ESC, CSI, backspace …
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction (Unicode Annex 9), which reorders what is read
    "\u2028\u2029"  # line ends that are not taken for such everywhere
    "\ud800-\udfff"  # halves of characters, which no terminal can be sent
    "\U000e0000-\U000e007f"  # tags, which nobody sees
    "]"
)


def visible(text: str) -> str:
    """Return a text with everything that a terminal would obey in the notation of Python's escapes.

    Line feeds and tabs stay, so a text of several lines stays one. Colours are escape sequences too, and are
    shown as such.
    """
    return _OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
