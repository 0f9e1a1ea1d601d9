"""Every flag and variable of kaniko's executor, once: `flags.csv` and `variables.csv`.

Parser, help and docs/from-kaniko.md are made of these tables. Command lines written for kaniko are to work as
they are: what means something here has the same name, what is not needed is accepted and named with the
reason, and nothing is passed over in silence.

Sources: `cmd/executor/cmd/root.go` and `pkg/config` of GoogleContainerTools/kaniko 1.24 and of
osscontainertools/kaniko 1.28, and their READMEs.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from strake_oci.lazy_dataclass import dataclass


class Kind(Enum):
    """What a flag takes."""

    SWITCH = "switch"
    TEXT = "text"
    NUMBER = "number"
    DURATION = "duration"
    LIST = "list"
    """Texts: it may be given more than once."""
    PAIRS = "pairs"
    """NAME=VALUE, more than once."""


class Does(Enum):
    """What becomes of a flag or a variable."""

    WORKS = "works"
    NOTED = "noted"
    """It is accepted, and named with the reason once."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of kaniko's executor.

    Attributes:
        section: what people look for it under.
        name: with its dashes.
        others: further spellings.
        kind: what it takes.
        default: kaniko's, as a person writes it; empty for none.
        since: the version that first has it, of 1.24 and 1.28.
        does: whether it works here.
        meaning: to kaniko.
        here: what Strake does with it; of a flag that is noted the reason.
    """

    section: str
    name: str
    others: tuple[str, ...]
    kind: Kind
    default: str
    since: str
    does: Does
    meaning: str
    here: str

    @property
    def names(self) -> tuple[str, ...]:
        """Every spelling, the usual one first."""
        return (self.name, *self.others)

    @property
    def key(self) -> str:
        """Its attribute among parsed arguments."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that kaniko's executor reads. Attributes are those of `Flag`."""

    name: str
    does: Does
    meaning: str
    here: str


@functools.cache
def flags() -> tuple[Flag, ...]:
    """Return every flag, section by section."""
    return tuple(
        Flag(
            section=row["section"],
            name=row["name"],
            others=tuple(row["spellings"].split()),
            kind=Kind(row["kind"]),
            default=row["default"],
            since=row["since"],
            does=Does(row["does"]),
            meaning=row["meaning"],
            here=row["here"],
        )
        for row in _rows("flags.csv")
    )


@functools.cache
def variables() -> tuple[Variable, ...]:
    """Return every variable."""
    return tuple(
        Variable(row["name"], Does(row["does"]), row["meaning"], row["here"])
        for row in _rows("variables.csv")
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, strict=True)
