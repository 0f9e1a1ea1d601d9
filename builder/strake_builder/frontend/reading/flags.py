"""`--flag=value` words of an instruction, checked against the flags that it knows."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.text.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Kind(Enum):
    """How often a flag may stand, and what it takes."""

    SWITCH = auto()
    VALUE = auto()
    VALUES = auto()


class Flags:
    """The flags of one instruction, checked.

    Args:
        known: The flags that the instruction has.
        words: What stands before its arguments.

    Raises:
        FaultError: A flag is unknown, given twice, lacks its value or has one that is no boolean.
    """

    def __init__(self, known: Mapping[str, Kind], words: Iterable[str]) -> None:
        self._values: Final[dict[str, list[str]]] = {}
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            kind = known.get(name)
            if kind is None:
                raise FaultError(
                    Code.UNKNOWN_FLAG,
                    f"unknown flag: --{name}",
                    hint=did_you_mean(f"--{name}", [f"--{flag}" for flag in known]) or _list(known),
                    needle=f"--{name}",
                )
            if name in self._values and kind is not Kind.VALUES:
                raise FaultError(
                    Code.INVALID_FLAG,
                    f"duplicate flag specified: --{name}",
                    needle=f"--{name}",
                    hint="keep one",
                )
            if kind is Kind.SWITCH:
                value = _boolean(name, value, given=bool(equals))
            elif not equals:
                raise FaultError(
                    Code.INVALID_FLAG,
                    f"missing a value on flag: --{name}",
                    hint=f"write --{name}=…, without spaces around the equals sign",
                    needle=f"--{name}",
                )
            self._values.setdefault(name, []).append(value)

    def value(self, name: str) -> str | None:
        """Return the value of a flag, None when it is not given."""
        return self._values.get(name, [None])[0]

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values of a flag that may stand several times."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """Return a switch, None when it is not given."""
        value = self.value(name)
        return None if value is None else value == "true"


def _boolean(name: str, value: str, *, given: bool) -> str:
    if not given or value.lower() == "true":
        return "true"
    if value.lower() == "false":
        return "false"
    raise FaultError(
        Code.INVALID_FLAG,
        f"expecting boolean value for flag --{name}, not: {value!r}",
        hint="use true or false",
        needle=f"--{name}",
    )


def _list(known: Iterable[str]) -> str:
    names = ", ".join(f"--{name}" for name in known)
    return f"it knows {names}" if names else "it takes no flags"
