"""`--chmod`: octal numbers and symbolic modes.

The symbolic grammar is that of BSD's setmode(3) with an umask of 0, which BuildKit uses: clauses
separated by commas, each of `[ugoa]*` and one or more of `[-+=][rwxXstugo]*`.
"""

from __future__ import annotations

import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_oci.lazy_dataclass import dataclass

_STANDARD: Final = 0o6777
_ALL: Final = 0o7777
_STICKY: Final = 0o1000
_EXECUTE: Final = 0o111
_WHO: Final = {"a": _STANDARD, "u": 0o4700, "g": 0o2070, "o": 0o0007}
_PERMISSIONS: Final = {"r": 0o444, "w": 0o222, "x": _EXECUTE, "s": 0o6000, "t": _STICKY}
_SHIFTS: Final = {"u": 6, "g": 3, "o": 0}
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)(,|\Z)")
_ACTION: Final = re.compile(r"([-+=])([rwxXstugo]*)")
_MAX_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of bits: "+", "-", "X", or a copy ("u", "g", "o") done by "+", "-" or "="."""

    kind: str
    bits: int
    operator: str = "+"


def check_mode(text: str) -> None:
    """Refuse what is no mode.

    Raises:
        FaultError: It is neither an octal number up to 07777 nor a symbolic mode.
    """
    if not _is_octal(text):
        _parse(text)


def apply_mode(mode: int, text: str, *, is_directory: bool) -> int:
    """Return the permission bits that a file gets.

    Args:
        mode: Its bits before (12 bits; others are ignored).
        text: An octal or symbolic mode.
        is_directory: Whether it is a directory, for which `X` always sets execution.

    Raises:
        FaultError: As `check_mode`.
    """
    if _is_octal(text):
        return int(text, 8)
    before = result = mode & _ALL
    for change in _parse(text):
        match change.kind:
            case "+":
                result |= change.bits
            case "-":
                result &= ~change.bits
            case "X":
                if before & _EXECUTE or is_directory:
                    result |= change.bits
            case source:
                result = _copied(result, source, change)
    return result


def made_mode(text: str | None) -> int:
    """Return the permission bits of directories that COPY and ADD make on the way.

    BuildKit makes them with an octal mode's permissions, even where that leaves them without search
    permission; setuid, setgid and sticky are left out, and a symbolic mode changes files only.

    Args:
        text: An octal or symbolic mode, None without `--chmod`.
    """
    return int(text, 8) & 0o777 if text is not None and _is_octal(text) else 0o755


def _copied(mode: int, source: str, change: _Change) -> int:
    value = mode >> _SHIFTS[source] & 0o7
    spread = (value | value << 3 | value << 6) & change.bits
    match change.operator:
        case "+":
            return mode | spread
        case "-":
            return mode & ~spread
        case _:
            return mode & ~(change.bits & 0o777) | spread


def _is_octal(text: str) -> bool:
    if not re.fullmatch(r"[0-7]+", text):
        return False
    if len(text) > _MAX_LENGTH or int(text, 8) > _ALL:
        raise _invalid(text)
    return True


def _parse(text: str) -> list[_Change]:
    changes: list[_Change] = []
    position = 0
    while True:
        clause = _CLAUSE.match(text, position) if len(text) <= _MAX_LENGTH else None
        if clause is None:
            raise _invalid(text)
        _read_clause(clause[1], clause[2], changes)
        position = clause.end()
        if not clause[3]:
            return changes


def _read_clause(who_text: str, actions: str, changes: list[_Change]) -> None:
    who = 0
    for letter in who_text:
        who |= _WHO[letter]
    cleared = False
    for operator, letters in _ACTION.findall(actions):
        if operator == "=":
            cleared = False
        who &= ~_STICKY
        cleared = _read_action(operator, letters, who, changes, cleared=cleared)


def _read_action(operator: str, letters: str, who: int, changes: list[_Change], *, cleared: bool) -> bool:
    """Append the changes of one action; return whether "=" has had its effect."""
    permissions = conditional = 0
    for letter in letters:
        if letter in _SHIFTS:
            _permit(operator, who, permissions, changes)
            _execute(who, conditional, changes)
            permissions = conditional = 0
            cleared = cleared or operator == "="
            changes.append(_Change(letter, (who & 0o777) if who else 0o777, operator))
        elif letter == "X" and operator != "-":
            conditional = _EXECUTE
        elif letter in "st" and who and not who & ~0o7:
            continue  # "o" alone has neither
        else:
            permissions |= _PERMISSIONS["x" if letter == "X" else letter]
            if letter == "t":
                # As in setmode(3): "+t" alone thereby concerns the sticky bit and nothing else.
                who |= _STICKY
    if operator == "=" and not cleared and not permissions:
        changes.append(_Change("-", who or _STANDARD))
    _permit(operator, who, permissions, changes)
    _execute(who, conditional, changes)
    return cleared or operator == "="


def _permit(operator: str, who: int, permissions: int, changes: list[_Change]) -> None:
    if permissions:
        if operator == "=":
            changes.append(_Change("-", who or _STANDARD))
        changes.append(_Change("-" if operator == "-" else "+", (who & permissions) if who else permissions))


def _execute(who: int, conditional: int, changes: list[_Change]) -> None:
    if conditional:
        changes.append(_Change("X", (who & conditional) if who else conditional))


def _invalid(text: str) -> FaultError:
    return FaultError(
        Code.INVALID_MODE,
        f"invalid chmod parameter: {text[:60]!r}",
        hint="write an octal number up to 07777, or a symbolic mode such as u=rwX,go=rX",
        needle="--chmod",
    )
