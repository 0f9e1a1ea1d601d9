"""Quantities of Kubernetes: 500m, 2, 512Mi.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse_quantity(text: str | int) -> Decimal:
    """Return a quantity in its base unit: bytes, CPUs, pieces.

    Raises:
        ValueError: It is none.
    """
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    number, unit = Decimal(found[1]), found[2] or ""
    if unit in _BINARY:
        return number * Decimal(1024 ** _BINARY[unit])
    power = _DECIMAL[unit] if unit in _DECIMAL else int(unit[1:])
    return number.scaleb(power)


def is_quantity(text: str | int) -> bool:
    """Return whether something is a quantity; a plain number must not be negative."""
    try:
        return parse_quantity(text) >= 0 or isinstance(text, str)
    except ValueError:
        return False


def shown_bytes(count: int) -> str:
    """Return a number of bytes as a spec would have it, with one decimal at most: 256Mi, 1.5Gi."""
    unit, size = "", Decimal(count)
    for larger in _BINARY:
        if size < 1024:  # noqa: PLR2004 - the binary units' step
            break
        unit, size = larger, size / 1024
    return f"{size:.1f}".removesuffix(".0") + unit
