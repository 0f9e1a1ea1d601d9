"""Ages and durations, as kubectl writes them."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def age(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in its largest unit: 5m, 3d; <unknown> for no time."""
    if then is None:
        return "<unknown>"
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "0s"
