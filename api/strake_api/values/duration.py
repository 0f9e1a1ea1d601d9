"""Durations as Kubernetes users write them: `90s`, `1h30m`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

PATTERN = r"^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"
"""Hours, minutes and seconds in this order, each at most once. The empty string is excluded by its length."""

DurationText = Annotated[str, Field(pattern=PATTERN, min_length=2, max_length=18)]
"""A duration on the wire."""

_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def parse_duration(text: str) -> int:
    """Return a duration in seconds.

    Raises:
        ValueError: The text is not of the form `1h30m10s`.
    """
    found = _PARTS.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is not a duration: write it as 90s, 15m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def format_duration(seconds: float) -> str:
    """Return a duration as `1h30m`, `2m5s` or `8s`, rounded to whole seconds."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (rest, "s")]
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"
