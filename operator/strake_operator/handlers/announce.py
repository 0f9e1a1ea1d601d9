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

    from strake_api.status import ImageBuildStatus
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


def _started(status: ImageBuildStatus) -> str:
    """Return the message of an event, with the reason where its pod is isolated less than it might be."""
    isolation = status.isolation
    less = f", isolated by {isolation.kind}: {isolation.reason}" if isolation and isolation.reason else ""
    return f"started Job {status.job}{less}"
