"""Has kopf keep nothing: no annotation, no finalizer, and no copy of each object to find out what changed.

kopf compares each object of each event with what it last saw, for handlers that ask what changed. The
operator has none of them, and the copies took a fifth of its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

if TYPE_CHECKING:
    from kopf import BodyEssence


class NoDiffs(kopf.DiffBaseStorage):
    """Knows of no earlier state of an object."""

    def build(self, **_: Any) -> BodyEssence:
        """Return nothing to compare."""
        return {}

    def fetch(self, **_: Any) -> BodyEssence | None:
        """Return that no state is known."""
        return None

    def store(self, **_: Any) -> None:
        """Keep nothing."""


class NoProgress(kopf.ProgressStorage):
    """Knows of no handler that is to be tried again: those of events are not."""

    def fetch(self, **_: Any) -> None:
        """Return that nothing is known."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""

    def purge(self, **_: Any) -> None:
        """Leave everything as it is."""

    def touch(self, **_: Any) -> None:
        """Leave everything as it is."""

    def clear(self, *, essence: BodyEssence) -> BodyEssence:
        """Return an object without what is kept on it, which is nothing."""
        return essence
