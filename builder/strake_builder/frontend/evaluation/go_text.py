"""How Go prints values: the history of an image has them in that form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_ASCII_END: Final = 0x80
_BMP_END: Final = 0x10000
_SECOND: Final = 1_000_000_000


def quote(text: str) -> str:
    """Return what `strconv.Quote` makes of a string (`%q`)."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code < _ASCII_END or 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 surrogate escapes stand for bytes
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < _BMP_END else f"\\U{code:08x}"


def quoted_list(items: Iterable[str]) -> str:
    """Return `%q` of a slice of strings."""
    return f"[{' '.join(quote(item) for item in items)}]"


def plain_list(items: Iterable[str]) -> str:
    """Return `%v` of a slice of strings."""
    return f"[{' '.join(items)}]"


def duration(nanoseconds: int) -> str:
    """Return `time.Duration.String`: "1m30s", "1.5s", "250ms"."""
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < _SECOND:
        for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
            if nanoseconds < size * 1000:
                return _decimal(nanoseconds, size) + unit
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, _SECOND) + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = str(size + rest)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
