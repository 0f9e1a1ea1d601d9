"""Which stages need the files of their base, and whose files others need: decisions without I/O."""

from __future__ import annotations

from strake_builder.frontend.model.planned import StageBase
from strake_builder.frontend.model.steps import AddStep, ConfigStep, PathSource, RunStep, Step, UrlSource
from strake_builder.solve.caching.selection import stages_read
from strake_builder.solve.planning.evaluation import EvaluatedBuild


def unpacked_stages(build: EvaluatedBuild, *, is_target_read: bool) -> frozenset[int]:
    """Return the needed stages whose base must be unpacked, where every step is executed.

    Args:
        build: the build.
        is_target_read: the files of the target are written out.
    """
    unpacked = {build.plan.target} if is_target_read else set[int]()
    for stage in reversed(build.plan.stages):  # those that read it, or are built on it, come after it
        steps = build.stages[stage.index].steps
        if any(map(_needs_files, steps)):
            unpacked.add(stage.index)
        for step in steps:
            if not isinstance(step, ConfigStep):
                unpacked.update(stages_read(step))
        if stage.index in unpacked and isinstance(stage.base, StageBase):
            unpacked.add(stage.base.index)
    return frozenset(unpacked)


def read_stages(build: EvaluatedBuild, *, is_target_read: bool) -> frozenset[int]:
    """Return the needed stages of whose files something else than their own layers is made.

    Args:
        build: the build.
        is_target_read: the files of the target are written out.
    """
    read = {build.plan.target} if is_target_read else set[int]()
    for stage in build.plan.stages:
        if isinstance(stage.base, StageBase):
            read.add(stage.base.index)
        for step in build.stages[stage.index].steps:
            if not isinstance(step, ConfigStep):
                read.update(stages_read(step))
    return frozenset(read)


def _needs_files(step: Step) -> bool:
    """Say whether a step may read files that are there, or write in another way than COPY does.

    An archive may link to a file that is there. Whether a file is an archive shows when it is added.
    """
    match step:
        case RunStep():
            return True
        case AddStep(link=False):
            return any(_may_be_unpacked(step, source) for source in step.sources)
        case _:
            return False


def _may_be_unpacked(step: AddStep, source: object) -> bool:
    match source:
        case PathSource():
            return step.unpack is not False
        case UrlSource():
            return step.unpack is True
        case _:
            return False
