"""The steps of a build as provenance tells of them, in the words of BuildKit's LLB (solver/pb/ops.proto).

Each has the layers of its result, where it is part of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strake_builder.attestations.facts import BuildStep
from strake_builder.attestations.redaction import public_url
from strake_builder.frontend.model.file_origins import (
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
)
from strake_builder.frontend.model.planned import ContextBase, ImageBase, ScratchBase, StageBase, StagePlan
from strake_builder.frontend.model.steps import (
    AddStep,
    BindMount,
    CacheMount,
    ConfigStep,
    CopyStep,
    GitSource,
    PathSource,
    RunStep,
    SecretMount,
    SshMount,
    Step,
    TmpfsMount,
    UrlSource,
    WorkdirStep,
)
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.spec.descriptor import Descriptor

Operation = dict[str, Any]


def steps_taken(build: EvaluatedBuild, result: StageResult) -> tuple[BuildStep, ...]:
    """Return the sources and steps of the needed stages, inputs first, and last what the image is.

    Args:
        build: the stages.
        result: of the target stage, whose layers are written.
    """
    graph = _Graph(build, _layers(result))
    for stage in build.plan.stages:
        graph.add_stage(stage)
    return graph.finished(build.plan.target)


class _Graph:
    """Steps, in the order in which they were added."""

    def __init__(self, build: EvaluatedBuild, layers: Mapping[int, tuple[Descriptor, ...]]) -> None:
        self._build = build
        self._layers = layers
        self._steps: list[BuildStep] = []
        self._sources: dict[str, int] = {}
        self._ends: dict[int, int | None] = {}

    def add_stage(self, stage: StagePlan) -> None:
        """Add what a stage begins with, and its steps."""
        end = self._base(stage)
        for step in self._build.stages[stage.index].steps:
            if not isinstance(step, ConfigStep):
                end = self._add_step(step, stage, end)
        self._ends[stage.index] = end

    def finished(self, target: int) -> tuple[BuildStep, ...]:
        """Return all steps, and the one that only names the result."""
        end = self._ends[target]
        return (*self._steps, BuildStep({}, () if end is None else (end,)))

    def _base(self, stage: StagePlan) -> int | None:
        lines = stage.from_.position.span
        match stage.base:
            case StageBase(index):
                return self._ends[index]
            case ImageBase(reference):
                return self._image(reference, stage, (lines.first, lines.last))
            case ContextBase(name):
                return self._source(f"local://{name}")
            case ScratchBase():
                return None

    def _image(self, reference: str, stage: StagePlan, lines: tuple[int, int] | None = None) -> int:
        found = self._build.images.get(stage.index)
        if reference.startswith("oci-layout://"):
            identifier = f"oci-layout://{reference.rpartition('/')[2]}"
        else:
            identifier = f"docker-image://{reference}"
        if lines is not None and found is not None and "@" not in identifier:
            identifier = f"{identifier}@{found.descriptor.digest}"
        layers = tuple(each.descriptor for each in found.layers) if lines is not None and found else ()
        return self._source(identifier, BuildStep({}, platform=stage.platform, lines=lines, layers=layers))

    def _source(self, identifier: str, like: BuildStep | None = None) -> int:
        like = like or BuildStep({})
        if identifier not in self._sources:
            operation = {"source": {"identifier": identifier}}
            self._sources[identifier] = self._append(
                BuildStep(operation, platform=like.platform, lines=like.lines, layers=like.layers)
            )
        return self._sources[identifier]

    def _append(self, step: BuildStep) -> int:
        self._steps.append(step)
        return len(self._steps) - 1

    def _add_step(self, step: Step, stage: StagePlan, base: int | None) -> int:
        inputs = [] if base is None else [base]
        match step:
            case RunStep():
                operation = {"exec": self._exec(step, stage, inputs, has_base=base is not None)}
            case CopyStep():
                number = self._origin(step.source, stage, inputs)
                actions = [_copy(source, step, number) for source in step.sources]
                operation = {"file": {"actions": [*actions, *_written(step)]}}
            case AddStep():
                actions = [_copy(source, step, self._remote(source, inputs)) for source in step.sources]
                operation = {"file": {"actions": [*actions, *_written(step)]}}
            case WorkdirStep(path=path):
                operation = {
                    "file": {"actions": [{"Action": {"mkdir": {"path": path, "makeParents": True}}}]}
                }
            case ConfigStep():
                operation = {}
        lines = (step.origin.span.first, step.origin.span.last)
        layers = self._layers.get(id(step), ())
        return self._append(BuildStep(operation, tuple(inputs), stage.platform, lines, layers))

    def _exec(self, step: RunStep, stage: StagePlan, inputs: list[int], *, has_base: bool) -> Operation:
        meta: Operation = {"args": list(step.command.argv), "cwd": step.working_dir}
        if step.user:
            meta["user"] = step.user
        mounts: list[Operation] = [{"dest": "/"} if has_base else {"input": -1, "dest": "/"}]
        for mount in step.mounts:
            match mount:
                case BindMount(source=source, path=path, target=target, read_only=read_only):
                    found = {"input": self._origin(source, stage, inputs), "selector": path, "dest": target}
                    mounts.append(found | ({"readonly": True} if read_only else {}))
                case CacheMount(id=name, target=target):
                    mounts.append({"dest": target, "mountType": 3, "cacheOpt": {"ID": name}})
                case TmpfsMount(target=target):
                    mounts.append({"dest": target, "mountType": 4})
                case SecretMount(id=name, target=target):
                    mounts.append({"dest": target or "", "mountType": 1, "secretOpt": {"ID": name}})
                case SshMount(id=name, target=target):
                    mounts.append({"dest": target, "mountType": 2, "SSHOpt": {"ID": name}})
        network = {"none": {"network": 2}, "host": {"network": 1}}.get(step.network, {})
        return {"meta": meta, "mounts": mounts, **network}

    def _origin(self, origin: FileOrigin, stage: StagePlan, inputs: list[int]) -> int:
        """Return the number of an input, which is added; -1 for nothing."""
        match origin:
            case FromContext():
                return _input(inputs, self._source("local://context"))
            case FromNamedContext(name):
                return _input(inputs, self._source(f"local://{name}"))
            case FromImage(reference):
                return _input(inputs, self._image(reference, stage))
            case FromStage(index):
                return _input(inputs, self._ends.get(index))
            case FromScratch():
                return -1

    def _remote(self, source: PathSource | UrlSource | GitSource, inputs: list[int]) -> int:
        match source:
            case PathSource():
                identifier = "local://context"
            case UrlSource(url=url):
                identifier = public_url(url)
            case GitSource(remote=remote, ref=ref):
                identifier = f"git://{public_url(remote).rpartition('://')[2]}#{ref}"
        return _input(inputs, self._source(identifier))


def _input(inputs: list[int], number: int | None) -> int:
    if number is None:
        return -1
    inputs.append(number)
    return len(inputs) - 1


def _copy(source: PathSource | UrlSource | GitSource, step: CopyStep | AddStep, number: int) -> Operation:
    if isinstance(source, PathSource):
        path = source.path
    else:
        path = f"/{source.filename}" if isinstance(source, UrlSource) else "/"
    return {"secondaryInput": number, "Action": {"copy": {"src": path, "dest": step.destination}}}


def _written(step: CopyStep | AddStep) -> list[Operation]:
    """Return files whose content is in the Dockerfile, by their names."""
    return [
        {"Action": {"mkfile": {"path": f"{step.destination.rstrip('/')}/{file.name}"}}} for file in step.files
    ]


def _layers(result: StageResult) -> dict[int, tuple[Descriptor, ...]]:
    """Return the layers of each step's result that has some, by the step's identity."""
    made = sum(record.layer is not None for record in result.records)
    chain = [each for each in map(_written_layer, result.layers[: len(result.layers) - made]) if each]
    found = {}
    for record in result.records:
        layer = _written_layer(record.layer) if record.layer is not None else None
        if layer is not None:
            chain.append(layer)
        found[id(record.step)] = tuple(chain)
    return found


def _written_layer(layer: ImageLayer) -> Descriptor | None:
    if not isinstance(layer, StepLayer):
        return layer.descriptor
    blob = layer.blob.result() if layer.blob is not None else None
    return blob.descriptor if blob is not None else None
