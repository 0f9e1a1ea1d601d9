"""How a log of text looks: what it shows, whether lines have times, and colours."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

from strake_oci.lazy_dataclass import dataclass

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal", "panic")
"""From all there is to nothing but errors: the words of kaniko's executor."""


@dataclass(frozen=True, slots=True)
class LogStyle:
    """The form of a log.

    Attributes:
        format: "text", "json", or "pod" for the log of a builder pod; the rest is about text.
        level: one of `LEVELS`.
        times: each line begins with the time.
        colours: lines have colours of the builder's own. Those of steps are kept in any case, but for
            `plain`.
        plain: there are no colours at all.
        live: what happens at the moment is drawn on a terminal, and what is done are lines above it.
    """

    format: str = "text"
    level: str = "info"
    times: bool = False
    colours: bool = False
    plain: bool = False
    live: bool = False

    def shows(self, level: str) -> bool:
        """Say whether lines of a level are shown."""
        return LEVELS.index(level) >= LEVELS.index(self.level)


def wants_no_colours() -> bool:
    """Say whether the user wants no colours anywhere. Source: no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


def has_colours(stream: TextIO) -> bool:
    """Say whether a stream is a terminal that shows colours."""
    return can_draw(stream) and not wants_no_colours()


def can_draw(stream: TextIO) -> bool:
    """Say whether a stream is a terminal whose cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def is_watched() -> bool:
    """Say whether somebody sits before a terminal that a live view suits.

    A CI system may give a job a terminal, and keeps what comes from it as a log. Where standard output goes
    elsewhere, so do logs as a rule.
    """
    return can_draw(sys.stdout) and has_colours(sys.stderr) and not os.environ.get("CI")
