"""Sizes of files and disks as people write them: 500MB, 20GiB."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+)\s*(?:([KMGT])(i?)B?|B)?", re.ASCII | re.IGNORECASE)
_DIGITS: Final = 18
"""Of 2^63 - 1, less one: no disk is larger, whatever the unit makes of it."""


def parse_size(text: str) -> int:
    """Return a size in bytes: a number, and a unit of 1,000 (K, MB) or of 1,024 (Ki, MiB) where one is given.

    Raises:
        ValueError: The text is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or len(found[1]) > _DIGITS:
        raise ValueError(f"{text!r} is no size: write it as 500MiB or 20GB")
    number, unit, binary = found.groups()
    if unit is None:
        return int(number)
    base = 1024 if binary else 1000
    factor: int = base ** ("KMGT".index(unit.upper()) + 1)
    return int(number) * factor
