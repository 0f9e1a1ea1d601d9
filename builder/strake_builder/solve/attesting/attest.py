"""What a build attests of its image: the facts for its provenance, collected when the image is whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal, assert_never

from strake_api.models.source import (
    BucketSource,
    GitSource,
    HTTPSource,
    NamedContext,
    OCISource,
    Source,
)
from strake_api.request import Attestations
from strake_builder.attestations.facts import (
    ArtifactMaterial,
    BuildFacts,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Material,
    Subject,
    Use,
)
from strake_builder.attestations.predicate import provenance
from strake_builder.attestations.redaction import Redaction
from strake_builder.attestations.statement import statement
from strake_builder.context.fetch import FetchedContext
from strake_builder.frontend.model.steps import AddStep, PathSource, RunStep, SecretMount, SshMount, UrlSource
from strake_builder.output.attached import attached
from strake_builder.output.targets import ArchiveTarget, LayoutTarget
from strake_builder.solve.attesting.steps_taken import steps_taken
from strake_builder.solve.images.assemble import FinishedImage
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.parts import BuildParts
from strake_builder.solve.planning.requested import Requested
from strake_oci.attestations import PROVENANCE, AttestationForm
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import host as host_platform

BUILDER: Final = "https://strake.dev/builder"
"""Who builds, where the request names nobody else."""


def attest(image: FinishedImage, parts: BuildParts, result: StageResult, started: datetime) -> FinishedImage:
    """Return an image with its provenance, where that is asked for and there is a place for it.

    Args:
        image: the image.
        parts: of its build.
        result: of the target stage.
        started: when the build began.
    """
    requested = parts.requested
    asked = requested.request.output.attestations
    if asked is None or asked.provenance == "none" or not _has_place(requested):
        return image
    facts = replace(_facts(parts, asked, started), steps=steps_taken(parts.evaluated, result))
    predicate = provenance(facts, _mode(asked.provenance), redaction_of(requested))
    subject = Subject(image.descriptor.digest, requested.destinations, requested.platform)
    content = statement(subject, PROVENANCE, predicate)
    attestation = attached(
        image.descriptor,
        requested.platform,
        (PROVENANCE, content),
        AttestationForm(asked.form),
        required=asked.required,
    )
    return replace(image, attestation=attestation)


def _has_place(requested: Requested) -> bool:
    """Return whether there is a registry, or for an index a layout: in that nothing refers to an image."""
    outputs, asked = requested.inputs.outputs, requested.request.output.attestations
    in_index = asked is not None and asked.form == "index"
    has_layout = any(isinstance(each, (ArchiveTarget, LayoutTarget)) for each in outputs.files)
    return outputs.push or (in_index and has_layout)


def _mode(mode: Literal["none", "min", "max"]) -> Literal["min", "max"]:
    return "max" if mode == "max" else "min"


def redaction_of(requested: Requested) -> Redaction:
    """Return what knows the values that the build was given as secrets."""
    names, run = requested.inputs.secret_arguments, requested.inputs.run
    arguments = [each.value for each in requested.request.args if each.name in names]
    contents = [content.decode(errors="surrogateescape") for content in run.secrets.values()]
    return Redaction([*arguments, *contents], names)


def _facts(parts: BuildParts, asked: Attestations, started: datetime) -> BuildFacts:
    requested, evaluated, fetched = parts.requested, parts.evaluated, parts.sources.fetched
    request, inputs = requested.request, requested.inputs
    context = _material(request.source, fetched.get(""))
    named = [requested.contexts.by_name[name] for name in sorted(evaluated.plan.used_contexts)]
    secrets, agents = _uses(parts)
    local = [] if context else ["context"]
    if context is None or inputs.dockerfile_path is not None or request.dockerfile_inline is not None:
        local.append("dockerfile")
    materials = [*_images(parts), *_downloads(parts)]
    if context is not None:
        materials.append(context)
    for each in named:
        material = _material(each.source, fetched.get(each.name)) if each.source else None
        if material is not None:
            materials.append(material)
        elif each.source is not None:
            local.append(each.name)
    return BuildFacts(
        started=started,
        finished=datetime.now(UTC),
        platform=requested.platform,
        builder_platform=host_platform(),
        invocation=uuid.uuid4().hex,
        context=context,
        dockerfile=request.dockerfile,
        text="".join(evaluated.plan.dockerfile.source.lines),
        target=request.target,
        arguments={each.name: each.value for each in request.args},
        labels=request.output.labels,
        contexts={each.name: _named(each, fetched.get(each.name)) for each in named},
        locals=tuple(local),
        materials=tuple(materials),
        secrets=secrets,
        agents=agents,
        is_hermetic=all(not isinstance(s, RunStep) or s.network == "none" for s in evaluated.steps),
        builder_id=asked.builder_id or BUILDER,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    try:
        return {"strake": version("strake")}
    except PackageNotFoundError:
        return {}


def _images(parts: BuildParts) -> Iterator[Material]:
    for image, platform in parts.sources.images.platforms():
        yield ImageMaterial(image.reference, image.descriptor.digest, platform)


def _downloads(parts: BuildParts) -> Iterator[Material]:
    remote = parts.sources.remote
    for step in parts.evaluated.steps:
        for source in step.sources if isinstance(step, AddStep) else ():
            if isinstance(source, PathSource):
                continue
            if isinstance(source, UrlSource):
                checksum = source.checksum or remote.known_checksum(source)
                if checksum is not None:
                    yield FileMaterial(source.url, checksum)
                continue
            commit = remote.used_commit(source)
            if commit is not None:
                yield GitMaterial(source.remote, commit, source.ref, source.subdir)


def _uses(parts: BuildParts) -> tuple[tuple[Use, ...], tuple[Use, ...]]:
    mounts = [m for step in parts.evaluated.steps if isinstance(step, RunStep) for m in step.mounts]
    secrets = tuple(Use(m.id, not m.required) for m in mounts if isinstance(m, SecretMount))
    return secrets, tuple(Use(m.id, not m.required) for m in mounts if isinstance(m, SshMount))


def _material(source: Source, fetched: FetchedContext | None) -> Material | None:
    """Return what a context is to others; None for what came from a disk, or is known by no digest."""
    chosen = source.chosen
    match chosen:
        case GitSource(url=url, ref=ref, path=path) if fetched is not None and fetched.revision:
            subdirectory = "" if path == "." else path
            return GitMaterial(url, fetched.revision, "" if ref == "HEAD" else ref, subdirectory)
        case HTTPSource(url=url) if fetched is not None and fetched.digest:
            return FileMaterial(url, fetched.digest)
        case BucketSource(url=url) if fetched is not None and fetched.digest:
            return FileMaterial(url, fetched.digest)
        case OCISource(reference=reference) if fetched is not None and fetched.digest:
            return ArtifactMaterial(reference, Digest.parse(fetched.digest))
        case _:
            return None


def _named(context: NamedContext, fetched: FetchedContext | None) -> str:
    """Return what stands for a name, as buildx writes it, without paths of this machine."""
    if context.image is not None:
        return f"docker-image://{context.image}"
    if context.layout is not None:
        return f"oci-layout://{context.name}"
    assert context.source is not None, "the validator saw to it"  # noqa: S101 - narrows the type
    material = _material(context.source, fetched)
    match material:
        case None:
            return f"local:{context.name}"
        case GitMaterial(url, _, ref, subdirectory):
            return f"{url}#{ref}" + (f":{subdirectory}" if subdirectory else "")
        case FileMaterial(url):
            return url
        case ImageMaterial(reference) | ArtifactMaterial(reference):
            return reference
        case _:
            assert_never(material)
