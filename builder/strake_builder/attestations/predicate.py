"""The predicate of SLSA provenance v1, in the form that BuildKit gives it for Dockerfiles.

Sources: SLSA, "Provenance v1"; BuildKit v0.34, docs/attestations/slsa-definitions.md. docs/attestations.md
lists every difference to what BuildKit writes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, assert_never

from strake_builder.attestations.facts import (
    ArtifactMaterial,
    BuildFacts,
    BuildStep,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Material,
    Mode,
    Use,
)
from strake_builder.attestations.purl import image_purl
from strake_builder.attestations.redaction import Redaction
from strake_oci.spec.platform import Platform

BUILD_TYPE: Final = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_SHA256_LENGTH: Final = 64
"""Hex digits of a commit in a repository that hashes with SHA-256."""

Document = dict[str, Any]


def provenance(facts: BuildFacts, mode: Mode, redaction: Redaction) -> Document:
    """Return what a build was made from and how.

    Args:
        facts: of the build.
        mode: "min" leaves out values of arguments and labels, secrets by name, the Dockerfile and the steps.
        redaction: knows what nobody may read.
    """
    public = redaction.facts(facts)
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"configSource": _source(public), "request": _request(public, mode)},
            "internalParameters": _internal(public, mode),
            **_given(resolvedDependencies=_dependencies(public.materials)),
        },
        "runDetails": {
            "builder": _given(id=public.builder_id, version=dict(public.versions)),
            "metadata": _metadata(public, mode),
        },
    }


def _source(facts: BuildFacts) -> Document:
    source: Document = {"path": facts.dockerfile}
    if facts.context is not None:
        source |= _resource(facts.context)
    if isinstance(facts.context, GitMaterial):
        git = facts.context
        fragment = f"{git.ref}:{git.subdirectory}" if git.subdirectory else git.ref
        source["uri"] = f"{git.url}#{fragment}" if fragment else git.url
    return source


def _request(facts: BuildFacts, mode: Mode) -> Document:
    arguments = {f"context:{name}": value for name, value in facts.contexts.items()}
    if facts.target is not None:
        arguments["target"] = facts.target
    if mode == "max":
        arguments |= {f"build-arg:{name}": value for name, value in facts.arguments.items()}
        arguments |= {f"label:{name}": value for name, value in facts.labels.items()}
    return _given(
        frontend="dockerfile.v0",
        args=dict(sorted(arguments.items())),
        secrets=_uses(facts.secrets) if mode == "max" else [],
        ssh=_uses(facts.agents) if mode == "max" else [],
        locals=[{"name": name} for name in facts.locals],
    )


def _uses(uses: Iterable[Use]) -> list[Document]:
    return [_given(id=use.id, optional=use.optional) for use in sorted(set(uses), key=lambda use: use.id)]


def _internal(facts: BuildFacts, mode: Mode) -> Document:
    internal: Document = {
        "builderPlatform": str(facts.builder_platform),
        "targetPlatform": str(facts.platform),
    }
    if mode == "max":
        internal |= _given(imageForm=dict(facts.form))
        internal["buildConfig"] = {
            "llbDefinition": [_step(number, step) for number, step in enumerate(facts.steps)]
        }
    return internal


def _step(number: int, step: BuildStep) -> Document:
    operation: Document = {"Op": dict(step.operation)}
    if step.platform is not None:
        operation["platform"] = _platform(step.platform)
    return {"id": f"step{number}", "op": operation} | _given(inputs=[f"step{i}:0" for i in step.inputs])


def _platform(platform: Platform) -> Document:
    return _given(Architecture=platform.architecture, OS=platform.os, Variant=platform.variant)


def _dependencies(materials: Iterable[Material]) -> list[Document]:
    resources = {str(resource): resource for resource in map(_resource, materials)}
    return sorted(resources.values(), key=lambda resource: str(resource["uri"]))


def _resource(material: Material) -> Document:
    match material:
        case ImageMaterial(reference, digest, platform):
            return {
                "uri": image_purl(reference, platform),
                "digest": {digest.algorithm: digest.encoded},
            }
        case ArtifactMaterial(reference, digest):
            return {"uri": image_purl(reference), "digest": {digest.algorithm: digest.encoded}}
        case GitMaterial(url, commit):
            algorithm = "sha256" if len(commit) == _SHA256_LENGTH else "sha1"
            return {"uri": url, "digest": {algorithm: commit}}
        case FileMaterial(url, checksum):
            algorithm, _, encoded = checksum.partition(":")
            return {"uri": url, "digest": {algorithm: encoded}}
        case _:
            assert_never(material)


def _metadata(facts: BuildFacts, mode: Mode) -> Document:
    has_values = bool(facts.arguments or facts.labels)
    metadata: Document = {
        "invocationId": facts.invocation,
        "startedOn": _time(facts.started),
        "finishedOn": _time(facts.finished),
        "buildkit_metadata": _extra(facts) if mode == "max" else {},
        "buildkit_completeness": {
            "request": mode == "max" or not has_values,
            "resolvedDependencies": not facts.locals,
        },
    }
    if facts.is_hermetic and not facts.locals:
        metadata["buildkit_hermetic"] = True
    return metadata


def _extra(facts: BuildFacts) -> Document:
    """Return the Dockerfile, where each step stands in it, and what layers it made."""
    data = base64.b64encode(facts.text.encode(errors="surrogateescape")).decode()
    infos = [{"filename": facts.dockerfile, "language": "Dockerfile", "data": data}]
    return {
        "source": {"infos": infos, "locations": _by_step(facts.steps, _location)},
        "layers": {f"{name}:0": layers for name, layers in _by_step(facts.steps, _layers).items()},
    }


def _by_step(steps: tuple[BuildStep, ...], part: Any) -> Document:
    found = {f"step{number}": part(step) for number, step in enumerate(steps)}
    return {name: value for name, value in found.items() if value}


def _location(step: BuildStep) -> Document:
    if step.lines is None:
        return {}
    first, last = step.lines
    return {"locations": [{"ranges": [{"start": {"line": first}, "end": {"line": last}}]}]}


def _layers(step: BuildStep) -> list[list[Document]]:
    layers = [
        {"mediaType": each.media_type, "digest": str(each.digest), "size": each.size} for each in step.layers
    ]
    return [layers] if layers else []


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _given(**fields: object) -> Document:
    """Return the fields that hold something, as protobuf's JSON and Go's `omitempty` do."""
    return {name: value for name, value in fields.items() if value or name == "id"}


def without_surrogates(value: Mapping[str, Any]) -> Document:
    """Return a document whose texts are Unicode: a Dockerfile may have bytes that JSON cannot hold."""
    cleaned: Document = _clean(value)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    if isinstance(value, Mapping):
        return {_clean(name): _clean(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    return value
