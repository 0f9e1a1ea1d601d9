"""What planning yields: the stages that a target needs, with their bases and their sources.

Nothing here has been looked up anywhere: an image base is a reference as text, and what the base's
configuration changes is left to `evaluate`.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeAlias

from strake_builder.frontend.model.moments import OfNamedContext
from strake_builder.frontend.model.named_contexts import NamedContexts
from strake_builder.frontend.text.suggest import did_you_mean
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_builder.frontend.model.moments import Moment
    from strake_builder.frontend.model.syntax import Dockerfile, From, Instruction
    from strake_oci.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class ImageBase:
    """An image from a registry: its reference as written, arguments expanded."""

    reference: str
    platform: Platform


@dataclass(frozen=True, slots=True)
class ContextBase:
    """The files of a named context, by name, and no configuration."""

    name: str


@dataclass(frozen=True, slots=True)
class StageBase:
    """An earlier stage of the same file, by index."""

    index: int


@dataclass(frozen=True, slots=True)
class ScratchBase:
    """Nothing: no files, and a configuration of `PATH` and "/" only."""


Base: TypeAlias = ImageBase | ContextBase | StageBase | ScratchBase


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage.

    Attributes:
        index: Its position in the file, from 0.
        name: In lower case, None without `AS`.
        base: What it is built FROM.
        platform: The platform of its root file system.
        from_: The FROM instruction.
        instructions: Its own; triggers of the base come with evaluation.
        stages: Indices of the stages that it needs files of (COPY --from, RUN --mount from=),
            triggers of a base stage included, the base itself not included.
        images: References of the images that it needs files of, likewise.
        contexts: Names of the named contexts that are among all these, its base's included.
        replaced: A named context stands in for the stage: it is its base, without triggers, and no more.
    """

    index: int
    name: str | None
    base: Base
    platform: Platform
    from_: From
    instructions: tuple[Instruction, ...]
    stages: frozenset[int]
    images: frozenset[str]
    contexts: frozenset[str] = frozenset()
    replaced: bool = False

    @property
    def label(self) -> str:
        """How messages call the stage: its name, or "stage-2"."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True)
class ArgumentScope:
    """The variables that exist outside any stage.

    Attributes:
        build_args: What the caller passed (`--build-arg`).
        global_args: Platform arguments and the ARGs before the first FROM, in force in FROM lines
            and as defaults of ARGs without one.
        proxy: "K=V", both cases, of the proxy arguments among `build_args`.
    """

    build_args: Mapping[str, str]
    global_args: Mapping[str, str]
    proxy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What must be built, and the context in which stages are evaluated.

    Attributes:
        dockerfile: The file.
        every_stage: All stages in the order of the file, needed or not.
        target: Index of the stage whose image is wanted.
        needed: Indices of the stages that the target needs, itself included, each after those that
            it needs.
        platform: The platform of the image.
        scope: The arguments.
        unused_build_args: Names of build arguments that no ARG of the file declares.
        contexts: What stands in for stages and images.
        also: Indices of further stages that are wanted built.
        epoch: SOURCE_DATE_EPOCH in seconds since 1970; None without one.
        moment: What that is the time of; None where it is a number.
    """

    dockerfile: Dockerfile
    every_stage: tuple[StagePlan, ...]
    target: int
    needed: tuple[int, ...]
    platform: Platform
    scope: ArgumentScope
    unused_build_args: tuple[str, ...] = ()
    contexts: NamedContexts = field(default_factory=NamedContexts)
    also: tuple[int, ...] = ()
    epoch: int | None = None
    moment: Moment | None = None

    @property
    def stages(self) -> tuple[StagePlan, ...]:
        """The needed stages, each after those that it needs."""
        return tuple(self.every_stage[index] for index in self.needed)

    @property
    def used_contexts(self) -> frozenset[str]:
        """Names of the named contexts that the needed stages use, or the time of the image is of."""
        dated = {self.moment.name} if isinstance(self.moment, OfNamedContext) else frozenset[str]()
        return frozenset[str]().union(dated, *(stage.contexts for stage in self.stages))

    @property
    def target_stage(self) -> StagePlan:
        """The stage whose image is wanted."""
        return self.every_stage[self.target]

    def stage_by_name(self, name: str) -> StagePlan | None:
        """Find a stage, ignoring case; the last of several with one name, as BuildKit does."""
        wanted = name.lower()
        return next((s for s in reversed(self.every_stage) if s.name == wanted), None)

    def meant_stage(self, reference: str) -> str:
        """Return a hint when an image's name looks like a slip in a stage's name, "" otherwise.

        For the message when `COPY --from=bulid` turns out to be no image.
        """
        return did_you_mean(reference, [stage.name for stage in self.every_stage if stage.name])

    def also_needing(
        self, index: int, stages: Iterable[int], images: Iterable[str], contexts: Iterable[str] = ()
    ) -> BuildPlan:
        """Return the plan with further needs of one stage, found in triggers of its base image."""
        stage = self.every_stage[index]
        grown = replace(
            stage,
            stages=stage.stages | frozenset(stages),
            images=stage.images | frozenset(images),
            contexts=stage.contexts | frozenset(contexts),
        )
        every = (*self.every_stage[:index], grown, *self.every_stage[index + 1 :])
        return replace(self, every_stage=every, needed=order(every, self.target, *self.also))


def order(stages: tuple[StagePlan, ...], *targets: int) -> tuple[int, ...]:
    """Return the stages that the targets need, each after those that it needs.

    Needs point to earlier stages only (checked when the plan was made), so file order will do.
    """
    needed = set(targets)
    for stage in reversed(stages[: max(targets) + 1]):
        if stage.index in needed:
            needed |= stage.stages
            if isinstance(stage.base, StageBase):
                needed.add(stage.base.index)
    return tuple(sorted(needed))
