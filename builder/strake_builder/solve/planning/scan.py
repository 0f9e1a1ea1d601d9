"""The stage that makes an SBOM: a scanner's image, executed over the files of the finished image.

It is added to the stages of the Dockerfile when those are evaluated. So a scan is confined, shown and cached
as any RUN is. Source of what the scanner is told: BuildKit, docs/attestations/sbom-protocol.md; of the
arguments that have more than the image scanned: Dockerfile reference, "BUILDKIT_SBOM_SCAN_STAGE".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from strake_builder.errors import BaseImageError
from strake_builder.frontend.evaluation.state import DEFAULT_PATH
from strake_builder.frontend.model.evaluated import EvaluatedStage, Variables
from strake_builder.frontend.model.planned import BuildPlan, ImageBase, StagePlan, order
from strake_builder.frontend.model.steps import (
    BindMount,
    ExecCommand,
    FileOrigin,
    FromContext,
    FromStage,
    Origin,
    RunStep,
    Step,
    TmpfsMount,
    WorkdirStep,
)
from strake_builder.solve.images.base import PulledImage
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform

DESTINATION: Final = "/run/out"
"""Where the scanner writes what it found."""
_IMAGE: Final = "/run/src/core/sbom"
_EXTRAS: Final = "/run/src/extras"
_STAGE: Final = "BUILDKIT_SBOM_SCAN_STAGE"
_CONTEXT: Final = "BUILDKIT_SBOM_SCAN_CONTEXT"
_YES: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's strconv.ParseBool takes for true, as BuildKit reads the arguments."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that is part of a build.

    Attributes:
        stage: index of the stage that scans.
        scanner: reference of its image.
        scanned: the build without it.
    """

    stage: int
    scanner: str
    scanned: EvaluatedBuild


def with_scan(build: EvaluatedBuild, scanner: PulledImage, platform: Platform) -> tuple[EvaluatedBuild, Scan]:
    """Return a build with a stage that scans its target, and what that stage is.

    Args:
        build: with every stage evaluated.
        scanner: the scanner's image.
        platform: that the scanner runs on.

    Raises:
        BaseImageError: the image of the scanner starts nothing.
    """
    plan, config = build.plan, scanner.config.config
    if not (config.entrypoint or config.cmd):
        raise BaseImageError(
            f"the SBOM scanner {scanner.reference} has neither an entry point nor a command",
            hint="name an image that follows BuildKit's protocol for SBOM scanners",
        )
    index = len(plan.every_stage)
    from_ = plan.target_stage.from_
    stage = StagePlan(
        index=index,
        name="sbom",
        base=ImageBase(scanner.reference, platform),
        platform=platform,
        from_=replace(from_, base=scanner.reference, platform=None, name="sbom", name_as_written="sbom"),
        instructions=(),
        stages=frozenset(
            mount.source.index for mount in _scanned(build) if isinstance(mount.source, FromStage)
        ),
        images=frozenset(),
    )
    evaluated = EvaluatedStage(
        index=index,
        steps=_steps(build, scanner.reference, config),
        config=config,
        author="",
        variables=Variables({}, {}),
    )
    every, also = (*plan.every_stage, stage), (*plan.also, index)
    grown = replace(plan, every_stage=every, also=also, needed=order(every, plan.target, *also))
    stages, images = {**build.stages, index: evaluated}, {**build.images, index: scanner}
    return EvaluatedBuild(grown, stages, images), Scan(index, scanner.reference, build)


def _steps(build: EvaluatedBuild, scanner: str, config: RuntimeConfig) -> tuple[Step, ...]:
    plan, mounts = build.plan, tuple(_scanned(build))
    position = plan.target_stage.from_.position
    origin = Origin(plan.dockerfile.source.filename, position.span, f"scan for an SBOM with {scanner}")
    told = [f"BUILDKIT_SCAN_DESTINATION={DESTINATION}", f"BUILDKIT_SCAN_SOURCE={_IMAGE}"]
    if len(mounts) > 1:
        told.append(f"BUILDKIT_SCAN_SOURCE_EXTRAS={_EXTRAS}")
    for entry in (f"PATH={DEFAULT_PATH}", *told) if config.env_value("PATH") is None else told:
        name, _, value = entry.partition("=")
        config = config.with_env(name, value)
    made = WorkdirStep(
        replace(origin, text=f"WORKDIR {DESTINATION}"), origin.text, config, DESTINATION, config.user
    )
    scan = RunStep(
        origin=origin,
        created_by=origin.text,
        config=config,
        command=ExecCommand((*(config.entrypoint or ()), *(config.cmd or ()))),
        files=(),
        mounts=(TmpfsMount("/tmp"), *mounts),  # noqa: S108 - the scanner's, as with BuildKit
        network="default",
        security="sandbox",
        environment=config.env,
        proxy_environment=plan.scope.proxy,
        user=config.user,
        working_dir=config.working_dir or "/",
    )
    return made, scan


def _scanned(build: EvaluatedBuild) -> Iterator[BindMount]:
    """Yield the image's files, and what the Dockerfile asks to have scanned besides."""
    plan = build.plan
    yield _mounted(FromStage(plan.target), _IMAGE)
    for stage in plan.stages:
        if stage.index != plan.target and _asks(build, stage, _STAGE):
            yield _mounted(FromStage(stage.index), f"{_EXTRAS}/sbom-{stage.label}")
    if _asks(build, plan.target_stage, _CONTEXT):
        yield _mounted(FromContext(), f"{_EXTRAS}/sbom-context")


def _mounted(source: FileOrigin, target: str) -> BindMount:
    return BindMount(source, "/", target)


def _asks(build: EvaluatedBuild, stage: StagePlan, argument: str) -> bool:
    """Tell whether an ARG of a stage, or one before all of them, is true or lists the stage's name."""
    own = build.stages[stage.index].variables.arguments.get(argument)
    value = own if own is not None else _of_all(build.plan, argument)
    return value in _YES or (stage.name is not None and stage.name in value.split(","))


def _of_all(plan: BuildPlan, argument: str) -> str:
    return plan.scope.global_args.get(argument, "")
