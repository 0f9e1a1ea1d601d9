"""Reads a command line of kaniko's executor by the table of its flags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from strake_builder.cli.flags.kaniko.table import Flag, Kind, flags
from strake_kubectl.errors import CommandError

_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
GITLAB: Final = {
    "CI_COMMIT_SHA": "{revision}",
    "CI_COMMIT_SHORT_SHA": "{shortRevision}",
    "CI_COMMIT_REF_SLUG": "{branch}",
    "CI_COMMIT_REF_NAME": "{branch}",
    "CI_COMMIT_BRANCH": "{branch}",
}
"""GitLab's variables for what a destination has fields for."""


def read_words(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of flags by their usual name; a switch without a value is "true".

    Raises:
        CommandError: kaniko has no such flag, or one lacks its value.
    """
    known = {name: flag for flag in flags() for name in flag.names}
    found: dict[str, list[str]] = {}
    pending = list(words)
    while pending:
        word = pending.pop(0)
        name, equals, value = word.partition("=")
        flag = known.get(name)
        if flag is None:
            raise CommandError(f"kaniko's executor has no flag {word[:80]!r}", exit_status=2)
        if not equals:
            value = _next(flag, pending)
        found.setdefault(flag.name, []).append(value)
    return found


def _next(flag: Flag, pending: list[str]) -> str:
    if flag.kind is Kind.SWITCH:
        return "true"
    if not pending:
        raise CommandError(f"kaniko's flag {flag.name} has no value", exit_status=2)
    return pending.pop(0)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of variables; others stay."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], found[0]), text)


def variables_in(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return [first or second for first, second in _VARIABLE.findall(text)]
