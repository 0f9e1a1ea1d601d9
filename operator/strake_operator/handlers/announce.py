"""Kubernetes' Events about an ImageBuild: few, and for people."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from strake_api.status import Phase
from strake_operator.reconcile.retries import words_of
from strake_operator.reconcile.runs import number_of
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.status import ImageBuildStatus, IsolationStatus
    from strake_operator.kube.cluster import Cluster
    from strake_operator.reconcile.observed import Build

logger = logging.getLogger(__name__)


async def announce(cluster: Cluster, build: Build, status: ImageBuildStatus, now: datetime) -> None:
    """Post what a status that was just written says that is new: a start, an end, what somebody changed."""
    before, moment = build.status, timestamp(now)
    for oddity in build.oddities:
        message = f"somebody changed the status, which only the operator writes: {oddity}; left out"
        logger.warning("ImageBuild %s/%s: %s", build.namespace, build.name, message)
        await cluster.announce(build, "Warning", "StatusChanged", message, moment)
    if status.job and status.job != before.job:
        await cluster.announce(build, "Normal", "Started", _started(status), moment)
        for warning in status.warnings or ():
            await cluster.announce(build, "Warning", "DestinationShared", warning, moment)
    await _announce_parts(cluster, build, status, moment)
    if status.retries and status.retries != before.retries and status.next_attempt_time:
        last = status.retries[-1]
        words = f"attempt {last.attempt} failed ({last.reason}), {words_of(last)}"
        await cluster.announce(build, "Warning", "Retrying", words, moment)
    told = {each.number for each in before.history or () if each.log_failure}
    for run in status.history or ():
        if run.log_failure and run.number not in told:
            message = f"the log of run {run.number} is not kept: {run.log_failure}"
            await cluster.announce(build, "Warning", "LogNotKept", message, moment)
    if (status.phase, number_of(status)) == (before.phase, number_of(before)):
        return
    if status.phase is Phase.SUCCEEDED:
        message = f"pushed {status.image} in {status.duration}"
        await cluster.announce(build, "Normal", "Pushed", message, moment)
    elif status.phase is Phase.FAILED and status.failure is not None:
        where = f" (line {status.failure.line})" if status.failure.line else ""
        words = status.failure.message + where
        await cluster.announce(build, "Warning", status.failure.reason, words, moment)


async def _announce_parts(cluster: Cluster, build: Build, status: ImageBuildStatus, moment: str) -> None:
    """Post the Jobs of a run of several platforms that were started."""
    known = {each.job for each in build.status.parts or ()}
    started = [each for each in status.parts or () if each.job and each.job not in known]
    for part in started:
        less = _less(part.isolation)
        await cluster.announce(
            build, "Normal", "Started", f"started Job {part.job} of {part.name}{less}", moment
        )
    if started and not any(known):
        for warning in status.warnings or ():
            await cluster.announce(build, "Warning", "DestinationShared", warning, moment)


def _started(status: ImageBuildStatus) -> str:
    """Return the message of an event, with the reason where its pod is isolated less than it might be."""
    return f"started Job {status.job}{_less(status.isolation)}"


def _less(isolation: IsolationStatus | None) -> str:
    return f", isolated by {isolation.kind}: {isolation.reason}" if isolation and isolation.reason else ""
