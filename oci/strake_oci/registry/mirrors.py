"""Where content is pulled from: a registry's mirrors, in order, and the registry itself.

Content is checked, whichever source served it. A manifest that is wrong is asked of the next source at once.
The first bytes of a blob were handed on when its end turns out wrong; so the mirror that served it is
remembered as untrusted, and the next reader of the blob is served by another source. A mirror that cannot be
reached is passed over for a while: it must not cost more than it saves.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from strake_oci.errors import (
    ConnectionFailedError,
    DigestMismatchError,
    MirrorError,
    OCIError,
    SizeExceededError,
)
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strake_oci.registry.session import Session
    from strake_oci.spec.reference import Repository

T = TypeVar("T")

UNREACHED: Final = 60.0
"""Seconds for which a mirror is not asked after it could not be reached."""

MIRROR_DEADLINE: Final = 5.0
"""Seconds after which a mirror is not tried again, nor waited for because it says so."""

_WRONG_CONTENT: Final = (DigestMismatchError, SizeExceededError)


class MirrorRecord:
    """Which mirrors are passed over. Thread-safe; one for the life of a client.

    Args:
        clock: Seconds, monotonic.
        warn: Called once for each mirror that served something else than it was asked for.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, warn: Callable[[str], None] | None = None
    ) -> None:
        self._clock = clock
        self._warn = warn
        self._lock = threading.Lock()
        self._untrusted: set[str] = set()
        self._unreached: dict[str, float] = {}

    def worth_asking(self, sources: Sequence[Repository], source: Repository) -> tuple[Repository, ...]:
        """Return the sources that are to be asked, in order; at least one.

        Args:
            sources: Mirrors in order, and the source if it may be asked.
            source: The registry itself, which is always worth it.
        """
        now = self._clock()
        with self._lock:
            trusted = [
                candidate
                for candidate in sources
                if candidate == source or candidate.registry not in self._untrusted
            ]
            reached = [
                candidate
                for candidate in trusted
                if candidate == source or self._unreached.get(candidate.registry, now) <= now
            ]
        return tuple(reached or trusted or sources[-1:])

    def note(self, mirror: Repository, error: OCIError) -> None:
        """Remember how a mirror failed, if that says something about its next answers."""
        with self._lock:
            is_news = isinstance(error, _WRONG_CONTENT) and mirror.registry not in self._untrusted
            if isinstance(error, _WRONG_CONTENT):
                self._untrusted.add(mirror.registry)
            elif isinstance(error, ConnectionFailedError):
                self._unreached[mirror.registry] = self._clock() + UNREACHED
        if is_news and self._warn is not None:
            self._warn(
                f"the mirror {mirror} does not serve what it should and is not asked again: {error.message}; "
                "repair it, or take it out of the settings"
            )


@dataclass(frozen=True, slots=True)
class PullSources:
    """Where one repository's content is pulled from.

    Attributes:
        mirrors: Asked first, in order.
        last: The registry itself, or a mirror if only mirrors are to be asked.
        record: Keeps how mirrors fail.
    """

    mirrors: tuple[Session, ...]
    last: Session
    record: MirrorRecord

    def pull(self, action: Callable[[Session], T]) -> T:
        """Do something that is whole at once at the first source where it can be done.

        Raises:
            OCIError: It could be done nowhere; the last source's error, which tells of the others.
        """
        failures: list[str] = []
        for session in self.mirrors:
            try:
                return action(session)
            except OCIError as error:
                failures.append(self.passed_over(session, error))
        try:
            return action(self.last)
        except OCIError as error:
            for failure in failures:
                error.add_note(failure)
            raise

    def passed_over(self, session: Session, error: OCIError) -> str:
        """Note that a mirror failed before anything of it was used; return a line that tells so."""
        self.record.note(session.repository, error)
        return f"mirror {session.repository}: {error.message}"

    def blamed(self, served: Sequence[Session], error: OCIError) -> OCIError:
        """Return what to raise for a blob that turned out wrong after some of it was handed on.

        Args:
            served: The sources that it came from.
            error: What is wrong.
        """
        mirrors = [session.repository for session in served if session in self.mirrors]
        for mirror in mirrors:
            self.record.note(mirror, error)
        return MirrorError(error, mirrors) if mirrors else error
