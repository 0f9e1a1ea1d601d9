"""Which steps of a build need not execute: a decision over keys and what was found under them, without I/O.

What the definition keys find is used from the bottom of a stage up to the first miss: a result above a
step that runs anew was made over another result of that step. From there on only content keys count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.frontend.model.planned import StageBase
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    ConfigStep,
    CopyStep,
    FromStage,
    RunStep,
    Step,
)
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StageKeys:
    """The definition keys of a stage.

    Attributes:
        steps: by position in the stage; None for a step that only changes the configuration, and from
            the first step on whose result cannot be known before it runs.
        state: the definition state of the finished stage, None where it cannot be known before.
    """

    steps: tuple[Key | None, ...]
    state: Key | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which steps of a build are cache hits, and which stages must be there at all.

    Attributes:
        hits: by stage, the results of its first steps that change files, without a gap.
        needed: indices of the stages whose layers somebody reads: those of the image, and those that
            steps without a result take files from.
    """

    hits: Mapping[int, tuple[CachedStep, ...]]
    needed: frozenset[int]


def select(
    build: EvaluatedBuild, keys: Mapping[int, StageKeys], found: Mapping[Key, CachedStep]
) -> Selection:
    """Decide which steps of a build need not execute.

    Args:
        build: the build.
        keys: the definition keys of every stage that its target needs.
        found: the results that lookups of these keys found.
    """
    hits: dict[int, tuple[CachedStep, ...]] = {}
    complete: dict[int, bool] = {}  # stages of which, and of whose bases, every step was found
    for stage in build.plan.stages:
        index, base = stage.index, stage.base
        steps = build.stages[index].steps
        over_hits = not isinstance(base, StageBase) or complete[base.index]
        hits[index] = tuple(_leading_hits(steps, keys[index], found)) if over_hits else ()
        complete[index] = over_hits and len(hits[index]) == len(_file_steps(steps))
    return Selection(hits, _needed(build, hits))


def select_all(build: EvaluatedBuild) -> Selection:
    """Return the selection of a build without a cache: every step executes."""
    stages = build.plan.stages
    return Selection({stage.index: () for stage in stages}, frozenset(stage.index for stage in stages))


def _needed(build: EvaluatedBuild, hits: Mapping[int, tuple[CachedStep, ...]]) -> frozenset[int]:
    needed: set[int] = set()
    waiting = [build.plan.target, *build.plan.also]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        base = build.plan.every_stage[index].base
        if isinstance(base, StageBase):
            waiting.append(base.index)
        for step in _file_steps(build.stages[index].steps)[len(hits[index]) :]:
            waiting.extend(stages_read(step))
    return frozenset(needed)


def stages_read(step: FileStep) -> Iterator[int]:
    """Yield the indices of the stages that a step takes files from."""
    match step:
        case CopyStep(source=FromStage(index)):
            yield index
        case RunStep():
            for mount in step.mounts:
                if isinstance(mount, BindMount | CacheMount) and isinstance(mount.source, FromStage):
                    yield mount.source.index
        case _:
            return


def _file_steps(steps: tuple[Step, ...]) -> list[FileStep]:
    return [step for step in steps if not isinstance(step, ConfigStep)]


def _leading_hits(
    steps: tuple[Step, ...], keys: StageKeys, found: Mapping[Key, CachedStep]
) -> Iterator[CachedStep]:
    for step, key in zip(steps, keys.steps, strict=True):
        if isinstance(step, ConfigStep):
            continue
        result = found.get(key) if key is not None else None
        if result is None:
            return
        yield result
