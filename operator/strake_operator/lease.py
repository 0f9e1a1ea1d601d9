"""Who of several operators acts: a pure function of a Lease, of what was seen of it, and of the time.

One holds the Lease and renews it; the others look at it and take it when it has not changed for as long as it
lasts. Times are of each operator's own clock: nobody compares clocks with anybody, and the time that a Lease
names is for people. An operator that cannot renew stops a good while before another may begin:

    renewed ── renew_seconds: renews ── deadline_seconds: acts no more ── duration_seconds: another may begin
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a Lease lasts.

    Attributes:
        duration_seconds: Until others may take it, from when they last saw it change.
        deadline_seconds: Until its holder stops, from when it last asked to renew it with success.
        renew_seconds: Between two renewals, and between two looks of the others.
    """

    duration_seconds: float
    deadline_seconds: float
    renew_seconds: float


def terms(duration: float) -> Terms:
    """Return the terms of a Lease of so many seconds, in the proportions of Kubernetes' own: 15, 10, 2."""
    return Terms(duration, duration * 2 / 3, duration * 2 / 15)


DEFAULT_SECONDS: Final = 15.0
NOBODY: Final = ""
"""The holder of a Lease that was given up."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as the API server has it.

    Attributes:
        holder: Who acts; `NOBODY` where it was given up.
        duration_seconds: How long it lasts, by its holder's word.
        transitions: How often the holder changed.
        version: Which changes with each write.
        acquired: When its holder took it, by that one's clock.
    """

    holder: str
    duration_seconds: float
    transitions: int
    version: str
    acquired: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the Lease.

    Attributes:
        lease: The last that was seen; None where there is none.
        since: When it was first seen in this version, in seconds of the own clock.
        renewed: When the own last successful renewal was asked for; None for one that does not lead.
    """

    lease: Lease | None
    since: float
    renewed: float | None = None


class Move(Enum):
    """What to do about a Lease."""

    ACQUIRE = "acquire"
    RENEW = "renew"
    WAIT = "wait"
    LOST = "lost"


def decide(seen: Seen, identity: str, terms: Terms, now: float) -> Move:
    """Return what to do.

    Args:
        seen: What was seen of the Lease.
        identity: The own one, which no other running operator has.
        terms: How long a Lease lasts.
        now: The present, by the own clock.
    """
    lease = seen.lease
    if seen.renewed is not None:
        if not holds(seen.renewed, terms, now) or lease is None or lease.holder != identity:
            return Move.LOST
        return Move.RENEW if now >= seen.renewed + terms.renew_seconds else Move.WAIT
    if lease is None or lease.holder in {NOBODY, identity}:
        # The own name on it: this operator was started again where the one before has ended.
        return Move.ACQUIRE
    return Move.ACQUIRE if now >= seen.since + lease.duration_seconds else Move.WAIT


def holds(renewed: float, terms: Terms, now: float) -> bool:
    """Return whether the holder of a Lease may act, which it asked to renew with success at some time."""
    return now < renewed + terms.deadline_seconds
