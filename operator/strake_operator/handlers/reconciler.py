"""One reconcile of one build: read the cluster, decide, act, write the status."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from strake_api.status import Phase
from strake_operator.errors import (
    ClusterError,
    ConflictError,
    ForeignError,
    GoneError,
    NamespaceEndsError,
    NotFoundError,
    RefusedError,
    UndeletedError,
)
from strake_operator.handlers.announce import announce
from strake_operator.handlers.builds import BuildReader
from strake_operator.handlers.experience import Experience
from strake_operator.handlers.outside.hearers import Outside
from strake_operator.handlers.slots import Slots
from strake_operator.handlers.starter import Starter
from strake_operator.kube.policies import Policies
from strake_operator.reconcile.admission.admit import ADMITTED, NO_LIMITS
from strake_operator.reconcile.admission.policy import denial, effective
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision, DropPod, StartRun, StopRun
from strake_operator.reconcile.ends.refusal import foreign, namespace_ends, refused, unavailable, undeleted
from strake_operator.reconcile.forms.bases import base_volumes
from strake_operator.reconcile.limits import soonest
from strake_operator.reconcile.observed import InvalidSpec, Observation, Running
from strake_operator.reconcile.origin import sort_out
from strake_operator.reconcile.parts.several import instead, is_in_parts
from strake_operator.reconcile.runs import ended
from strake_operator.reconcile.starting import may_start, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_operator.handlers.follower import Follower
    from strake_operator.handlers.queue import Key
    from strake_operator.kube.cluster import Cluster
    from strake_operator.kube.watched import Watched
    from strake_operator.reconcile.observed import Build, BuilderRun
    from strake_operator.reconcile.progress import Progress
    from strake_operator.registries.source import RegistriesSource
    from strake_operator.settings.environment import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon to look again at what was done just now."""
PROGRESS_SECONDS = 1.0
"""How often a running build's progress is written, at most."""
PROGRESS_SHARE = 0.01
"""Of a run's age: the least time between two writes, so that an hour has some five hundred of them."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Brings builds to where their specs want them.

    Args:
        cluster: Where the builds are.
        follower: Knows the progress of running builders.
        settings: The platform's settings.
        progressed: Called with a build's key when its log shows progress, and after how many seconds to
            reconcile it.
        clock: The present, in UTC.
        registries: How runs that start now reach registries; None goes by the settings.
        watched: What the watches know; None has every reconcile read the cluster.
        slots: The slots of runs; without them there is no limit.
        outside: Who hears of builds; nobody where None.
    """

    def __init__(  # noqa: PLR0913 - all that surrounds a build
        self,
        cluster: Cluster,
        follower: Follower,
        settings: Settings,
        progressed: Callable[[Key, float], None],
        clock: Callable[[], datetime] = _utc_now,
        *,
        registries: RegistriesSource | None = None,
        watched: Watched | None = None,
        slots: Slots | None = None,
        outside: Outside | None = None,
    ) -> None:
        self._cluster = cluster
        self._read = BuildReader(cluster, watched)
        self._follower = follower
        self._settings = settings
        self._progressed = progressed
        self._clock = clock
        self._watched = watched
        self._slots = slots or Slots(lambda: NO_LIMITS, set, lambda _: None)
        self._outside = outside or Outside()
        self._policies = Policies() if watched is None else watched.policies
        self._experience = Experience(settings.isolation)
        self._starter = Starter(cluster, clock, registries=registries, watched=watched)

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile a build once; return after how many seconds to requeue it, if at all.

        Raises:
            ClusterError: The API server did not do what was asked; requeue it.
        """
        try:
            build = await self._read.read(key)
            if not self._policies.knows(key.namespace):
                self._policies.namespace(await self._cluster.namespace(key.namespace))
            return await self._reconcile(key, build)
        except Exception as error:
            # Who is at its turn and in trouble with the API server keeps nobody else from starting.
            self._slots.leaves(key)
            self._read.doubt(key)
            if isinstance(error, GoneError):
                self._slots.holds(key, held=False)
                self._starter.forget(key)
                self._outside.forget(key)
                return None
            raise
        finally:
            self._slots.release(key)

    async def _reconcile(self, key: Key, build: Build) -> float | None:
        seen, decision = await self._decide(key, build)
        build = seen.build
        if _starts(decision):
            self._slots.take(key)
        elif decision.status.phase is Phase.QUEUED and decision.status.queue is not None:
            self._slots.waits(waiting(build, self._clock()))
        else:
            self._slots.leaves(key)
        self._slots.holds(key, held=is_in_parts(decision.status))
        self._note(decision)
        if decision.status_first:
            await self._report(key, seen, decision)
        decision = await self._carried_out(key, seen, decision)
        if not decision.status_first:
            status = self._starter.with_created(key, decision.status)
            await self._report(key, seen, replace(decision, status=status))
        # A Job that is there already may have ended before: no event tells of it any more.
        look = LOOK_SECONDS if decision.actions else None
        return soonest(decision.requeue_after, look)

    async def _carried_out(self, key: Key, seen: Observation, decision: Decision) -> Decision:
        """Do what was decided; return what is to be reported: something else where the cluster refuses it."""
        try:
            await self._act(key, seen.build, decision)
        except (NotFoundError, ConflictError):
            raise
        except ForeignError as error:
            words = str(error)
            return self._instead(seen, decision, lambda one: foreign(one, words, self._clock()))
        except UndeletedError as error:
            if (
                not decision.status_first
            ):  # what was written is another version already: the next reconcile tells
                status = undeleted(decision.status, str(error), self._clock())
                await self._report(key, seen, replace(decision, status=status))
            raise
        except RefusedError as error:
            return self._refused(seen, decision, error)
        except NamespaceEndsError:
            return self._instead(seen, decision, lambda one: namespace_ends(one, self._clock()))
        except ClusterError as error:
            if _starts(decision):
                words = str(error)
                told = self._instead(seen, decision, lambda one: unavailable(one, words, self._clock()))
                await self._report(key, seen, told)
            raise
        return decision

    def _note(self, decision: Decision) -> None:
        for lesson in decision.lessons:
            self._experience.note(lesson, self._clock())

    def _refused(self, seen: Observation, decision: Decision, error: RefusedError) -> Decision:
        """Return what to do where the API server refuses the objects of a run."""
        settings, now = self._settings_of(seen.build), self._clock()
        refusal = self._instead(
            seen,
            decision,
            lambda one: refused(one, decision.actions, str(error), settings, now, forbidden=error.forbidden),
        )
        self._note(refusal)
        return refusal

    def _instead(
        self, seen: Observation, decision: Decision, refuse: Callable[[Observation], Decision]
    ) -> Decision:
        """Return what to do about a refusal: of the Job of a part where it is one that was to start."""
        return instead(seen, decision, self._clock(), refuse)

    async def _decide(self, key: Key, build: Build) -> tuple[Observation, Decision]:
        """Decide from what the watches know, and again from a fresh read where it is for good."""
        if self._watched is not None:
            seen = self._observe(key, build, self._watched.runs(build))
            decision = decide(seen, self._settings_of(build), self._clock())
            if seen.predecessors and not seen.runs:
                await self._cluster.check_predecessors(build)
            elif not decision.actions and not _ends(build, decision):
                return seen, decision
            elif _starts(decision):
                build = await self._read.fresh(key)
        seen = self._observe(key, build, await self._cluster.runs(build))
        return seen, decide(seen, self._settings_of(build), self._clock())

    def _observe(self, key: Key, build: Build, found: tuple[BuilderRun, ...]) -> Observation:
        runs, strays = sort_out(found, build, self._starter.made(key))
        told = self._follow(key, build, runs)
        now = self._clock()
        allowed = self._settings_of(build).isolation
        begins = self._experience.beginning(build.namespace, build.runtime_class, now, allowed)
        refused = self._experience.refused_bases(build.namespace, now)
        bases = base_volumes(build.status, self._settings, refused)
        admission, denied = ADMITTED, None
        if may_start(build, runs):
            admission = self._slots.admission(waiting(build, now))
            denied = self._denial(build)
        seen = Observation(
            build,
            runs,
            next(reversed(told.values()), None),
            beginning=begins,
            bases=bases,
            denial=denied,
            admission=admission,
            strays=strays,
            told=told,
        )
        if self._watched is None or isinstance(build.spec, InvalidSpec):
            return seen
        rivals = self._watched.rivals(build, build.spec.output.destinations)
        return replace(seen, predecessors=self._watched.predecessors(build), rivals=rivals)

    def _settings_of(self, build: Build) -> Settings:
        """Return the platform's settings as the policies of a build's namespace change them."""
        return effective(self._settings, self._policies.of(build.namespace))

    def _denial(self, build: Build) -> str | None:
        if isinstance(build.spec, InvalidSpec):
            return None
        return denial(build.spec, build.namespace, self._policies.of(build.namespace))

    async def _report(self, key: Key, seen: Observation, decision: Decision) -> None:
        build = seen.build
        status = self._outside.status_to_write(key, build, decision.status)
        if status != build.status or build.oddities:
            await self._cluster.write_status(build, status)
            self._outside.written(key, seen, status)
            try:
                await announce(self._cluster, build, status, self._clock())
            except (NamespaceEndsError, RefusedError) as error:
                # What an event would tell is on the status, too: a build does not depend on it.
                logger.info("ImageBuild %s: %s", key, error)
        self._outside.offer(key, build, status)

    def _follow(self, key: Key, build: Build, runs: tuple[BuilderRun, ...]) -> dict[str, Progress]:
        """Return what the logs of running builders tell, by the names of their Jobs."""
        told: dict[str, Progress] = {}
        for run in runs:
            if run.pod is None:
                continue
            if isinstance(run.pod.container, Running):
                changed = partial(self._progressed, key, PROGRESS_SECONDS)
                self._follower.follow(build.namespace, run.pod.name, changed)
                pause = max(PROGRESS_SECONDS, PROGRESS_SHARE * (self._clock() - run.created).total_seconds())
                progress, more = self._follower.shown(build.namespace, run.pod.name, pause)
                if progress is not None:
                    told[run.job] = progress
                if more is not None:
                    self._progressed(key, more)
            else:
                self._follower.forget(build.namespace, run.pod.name)
        return told

    async def _act(self, key: Key, build: Build, decision: Decision) -> None:
        for action in decision.actions:
            match action:
                case StartRun():
                    settings = self._settings_of(build)
                    await self._starter.start(key, build, action, decision.status.run, settings)
                case StopRun():
                    logger.info("ImageBuild %s/%s: stopping Job %s", build.namespace, build.name, action.job)
                    await self._cluster.delete_run(build.namespace, action.job, action.uid, action.request)
                case DropPod():
                    logger.info("ImageBuild %s/%s: dropping pod %s", build.namespace, build.name, action.pod)
                    await self._cluster.delete_pod(build.namespace, action.pod, action.uid)


def _starts(decision: Decision) -> bool:
    return any(isinstance(action, StartRun) for action in decision.actions)


def _ends(build: Build, decision: Decision) -> bool:
    """Return whether a decision is that the run ended."""
    return ended(build.status, decision.status)
