"""What SOURCE_DATE_EPOCH may name in place of a number: something that has a time of its own.

Source: BuildKit v0.34, `frontend/dockerfile/dockerfile2llb/epoch.go`. Which time that is, callers find out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_builder.frontend.model.steps import GitSource, UrlSource


@dataclass(frozen=True, slots=True)
class OfContext:
    """The build context: the word `context`."""


@dataclass(frozen=True, slots=True)
class OfNamedContext:
    """A named context, by the form of its name that `context_name` returns."""

    name: str


@dataclass(frozen=True, slots=True)
class OfRemote:
    """What the one ADD of a stage fetches. `stage` is the stage's name."""

    stage: str
    source: UrlSource | GitSource


Moment: TypeAlias = OfContext | OfNamedContext | OfRemote

if TYPE_CHECKING:
    TimeOf: TypeAlias = Callable[[Moment], int | None]
    """Finds out seconds since 1970; None for what has no time."""


def no_time(_: Moment) -> int | None:
    """Know of no time, as where a Dockerfile is only read."""
    return None
