"""Go's notation for durations, as HEALTHCHECK takes it: "1m30s", "1.5h", "250ms"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from strake_builder.frontend.errors import Code, FaultError

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_MAX: Final = (1 << 63) - 1
_MAX_TEXT: Final = 60


def parse_duration(text: str) -> int:
    """Return nanoseconds (Go's time.ParseDuration).

    Raises:
        FaultError: The text is no duration, or one that 64 bits cannot hold.
    """
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = 0
    position = 0
    while position < len(rest) <= _MAX_TEXT:
        match = _PART.match(rest, position)
        if match is None or not (match[1] or match[2]):
            break
        number = Decimal(f"{match[1] or 0}.{match[2] or 0}")
        total += int(number * _UNITS[match[3]])
        position = match.end()
    if not rest or position < len(rest) or total > _MAX:
        raise FaultError(
            Code.INVALID_FLAG,
            f"invalid duration {text[:_MAX_TEXT]!r}",
            hint="write a number with a unit: 30s, 1m30s, 500ms",
            needle=text,
        )
    return sign * total
