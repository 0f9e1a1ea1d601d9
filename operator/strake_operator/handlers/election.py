"""Has one of several operators act: takes the Lease, renews it, and stops everything where it is lost."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from strake_operator.errors import ClusterError, ConflictError, ExistsError, NotLeaderError
from strake_operator.lease import NOBODY, Move, Seen, Terms, decide, holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_operator.kube.leases import LeaseClient
    from strake_operator.lease import Lease

logger = logging.getLogger(__name__)

LOOK_SHARE = 0.1
"""Of the time between renewals: how often the holder looks at its clock, to end soon after it was stopped."""


def boot_seconds() -> float:
    """Return seconds that go on while a process is stopped, and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Election:
    """This operator's part in who acts.

    Args:
        lease: The Lease.
        identity: This operator's, which no other that runs has.
        terms: How long the Lease lasts.
        clock: Seconds that never stand still.
    """

    def __init__(
        self, lease: LeaseClient, identity: str, terms: Terms, clock: Callable[[], float] = boot_seconds
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._terms = terms
        self._clock = clock
        self._seen: Seen | None = None
        self._told = ""

    @property
    def leads(self) -> bool:
        """Whether this operator may act, at this moment."""
        renewed = self._seen.renewed if self._seen else None
        return renewed is not None and holds(renewed, self._terms, self._clock())

    @property
    def stands_by(self) -> bool:
        """Whether another operator has the Lease, as far as this one has seen."""
        lease = self._seen.lease if self._seen else None
        return lease is not None and lease.holder not in {NOBODY, self._identity}

    def check(self) -> None:
        """Let nothing pass where this operator does not lead (any more).

        Raises:
            NotLeaderError: It does not.
        """
        if not self.leads:
            raise NotLeaderError("another operator may have taken over: this one does nothing any more")

    async def acquire(self) -> None:
        """Return when this operator has the Lease."""
        while True:
            try:
                await self._look()
            except ClusterError as error:
                logger.warning("%s; trying again", error)
            if self.leads:
                return
            await asyncio.sleep(self._terms.renew_seconds)

    async def _look(self) -> None:
        lease, now = await self._lease.read(), self._clock()
        if self._seen is None or _version(self._seen.lease) != _version(lease):
            self._seen = Seen(lease, now)
        if decide(self._seen, self._identity, self._terms, now) is Move.ACQUIRE:
            await self._take(lease)
        elif lease is not None and lease.holder != self._told:
            self._told = lease.holder
            logger.info("%s is held by %s: standing by", self._lease, lease.holder)

    async def _take(self, before: Lease | None) -> None:
        asked = self._clock()
        changes = before is None or before.holder != self._identity
        try:
            taken = await self._lease.write(
                before, self._identity, self._terms.duration_seconds, acquire=changes
            )
        except (ConflictError, ExistsError):
            return  # somebody was quicker
        self._seen = Seen(taken, asked, renewed=asked)
        last = before.holder if before is not None and before.holder else "nobody"
        logger.info("%s acts from now on: it has %s, which %s had", self._identity, self._lease, last)

    async def keep(self) -> str:
        """Renew the Lease for as long as that works; return why it does not any more."""
        trouble = "its process stood still"
        while self._seen is not None:
            move = decide(self._seen, self._identity, self._terms, self._clock())
            if move is Move.LOST:
                break
            if move is Move.RENEW:
                trouble = await self._renew(self._seen) or trouble
            await asyncio.sleep(self._terms.renew_seconds * LOOK_SHARE)
        return f"{self._identity} lost {self._lease}: {trouble}"

    async def _renew(self, seen: Seen) -> str | None:
        """Renew the Lease; return what kept it from being renewed."""
        asked = self._clock()
        try:
            renewed = await self._lease.write(
                seen.lease, self._identity, self._terms.duration_seconds, acquire=False
            )
        except ConflictError:
            # The answer to the last renewal may not have come; else it is another's.
            return await self._look_again(seen)
        except ClusterError as error:
            logger.warning("%s; trying again", error)
            return str(error)
        self._seen = Seen(renewed, asked, renewed=asked)
        return None

    async def _look_again(self, seen: Seen) -> str:
        try:
            lease = await self._lease.read()
        except ClusterError as error:
            return str(error)
        self._seen = replace(seen, lease=lease)
        return f"{lease.holder or 'nobody'} has it" if lease else "somebody deleted it"

    async def release(self) -> None:
        """Give the Lease up, so that another operator begins at once. Nothing may act any more."""
        seen, self._seen = self._seen, None
        if seen is None or seen.renewed is None or not holds(seen.renewed, self._terms, self._clock()):
            return
        try:
            await self._lease.write(seen.lease, NOBODY, 1, acquire=False)
        except ClusterError as error:
            logger.warning("%s: another operator waits until it ends", error)
        else:
            logger.info("%s gave %s up", self._identity, self._lease)


def _version(lease: Lease | None) -> str | None:
    return None if lease is None else lease.version
