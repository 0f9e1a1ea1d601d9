"""What a build attests of its image when that is whole: how it was made, and what is in it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal, assert_never

from strake_api.models.form import ImageForm
from strake_api.models.source import (
    NamedContext,
)
from strake_api.requests.output import Attestations
from strake_builder.attestations.facts import (
    ArtifactMaterial,
    BuildFacts,
    FileMaterial,
    FoundSBOM,
    GitMaterial,
    ImageMaterial,
    Subject,
    Use,
)
from strake_builder.attestations.predicate import provenance
from strake_builder.attestations.redaction import Redaction
from strake_builder.attestations.statement import statement
from strake_builder.context.fetch import FetchedContext
from strake_builder.errors import StepError
from strake_builder.frontend.model.steps import RunStep, SecretMount, SshMount
from strake_builder.output.attached import attached
from strake_builder.output.targets import ArchiveTarget, LayoutTarget
from strake_builder.solve.attesting.materials import material_of, materials_of
from strake_builder.solve.attesting.steps_taken import steps_taken
from strake_builder.solve.images.assemble import FinishedImage
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.parts import BuildParts
from strake_builder.solve.planning.requested import Requested
from strake_oci.attestations import PROVENANCE, AttestationForm
from strake_oci.spec.platform import host as host_platform

BUILDER: Final = "https://strake.dev/builder"
"""Who builds, where the request names nobody else."""


def attest(
    image: FinishedImage,
    parts: BuildParts,
    result: StageResult,
    started: datetime,
    sboms: Sequence[FoundSBOM] = (),
) -> FinishedImage:
    """Return an image with what is attested of it, where that is asked for and can be stored.

    Args:
        image: the image.
        parts: of its build.
        result: of the target stage.
        started: when the build began.
        sboms: of the image.
    """
    requested = parts.requested
    asked = requested.request.output.attestations
    if asked is None or not stores_attestations(requested):
        return image
    subject = Subject(image.descriptor.digest, requested.destinations, requested.platform)
    statements = [(each.predicate_type, _statement_of(subject, each)) for each in sboms]
    if asked.provenance != "none":
        facts = replace(_facts(parts, asked, started), steps=steps_taken(parts.written, result))
        predicate = provenance(facts, _mode(asked.provenance), redaction_of(requested))
        statements.insert(0, (PROVENANCE, statement(subject, PROVENANCE, predicate)))
    if not statements:
        return image
    attestation = attached(
        image.descriptor,
        requested.platform,
        statements,
        AttestationForm(asked.form),
        required=asked.required,
    )
    return replace(image, attestation=attestation)


def _statement_of(subject: Subject, sbom: FoundSBOM) -> bytes:
    try:
        return statement(subject, sbom.predicate_type, sbom.predicate)
    except RecursionError as error:
        raise StepError(
            "the SBOM is nested too deeply", hint="see what the scanner makes of the image"
        ) from error


def stores_attestations(requested: Requested) -> bool:
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
    requested, evaluated, fetched = parts.requested, parts.written, parts.sources.fetched
    request, inputs = requested.request, requested.inputs
    context = material_of(request.source, fetched.get(""))
    named = [requested.contexts.by_name[name] for name in sorted(evaluated.plan.used_contexts)]
    secrets, agents = _uses(parts)
    local = [] if context else ["context"]
    if context is None or inputs.dockerfile_path is not None or request.dockerfile_inline is not None:
        local.append("dockerfile")
    local += [
        each.name for each in named if each.source and not material_of(each.source, fetched.get(each.name))
    ]
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
        form=_form(requested),
        contexts={each.name: _named(each, fetched.get(each.name)) for each in named},
        locals=tuple(local),
        materials=materials_of(parts),
        secrets=secrets,
        agents=agents,
        is_hermetic=all(not isinstance(s, RunStep) or s.network == "none" for s in evaluated.steps),
        builder_id=asked.builder_id or BUILDER,
        versions=_versions(),
    )


def _form(requested: Requested) -> dict[str, object]:
    """Return what was asked for of how the image is written, but for labels.

    A time that was found out is a number in it, so that who builds again need not ask the same server.
    """
    output, found = requested.request.output, requested.found_epoch
    if output.source_date_epoch is None and found is not None:
        output = output.model_copy(update={"source_date_epoch": found})
    fields = set(ImageForm.model_fields) - {"labels"}
    return output.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=fields)


def _versions() -> dict[str, str]:
    try:
        return {"strake": version("strake")}
    except PackageNotFoundError:
        return {}


def _uses(parts: BuildParts) -> tuple[tuple[Use, ...], tuple[Use, ...]]:
    mounts = [m for step in parts.written.steps if isinstance(step, RunStep) for m in step.mounts]
    secrets = tuple(Use(m.id, not m.required) for m in mounts if isinstance(m, SecretMount))
    return secrets, tuple(Use(m.id, not m.required) for m in mounts if isinstance(m, SshMount))


def _named(context: NamedContext, fetched: FetchedContext | None) -> str:
    """Return what stands for a name, as buildx writes it, without paths of this machine."""
    if context.image is not None:
        return f"docker-image://{context.image}"
    if context.layout is not None:
        return f"oci-layout://{context.name}"
    assert context.source is not None, "the validator saw to it"  # noqa: S101 - narrows the type
    material = material_of(context.source, fetched)
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
