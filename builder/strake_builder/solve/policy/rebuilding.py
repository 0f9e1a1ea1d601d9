"""From provenance back to the request that it tells of, so that a build can be made again.

Provenance is data from elsewhere: what it names is fetched as a Dockerfile's sources are, with the digests
that it has, and nothing in it names a path of this machine.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final
from urllib.parse import parse_qs

from strake_api.models.form import ImageForm
from strake_api.models.source import GitSource, HTTPSource, NamedContext, OCISource, Source
from strake_api.models.source_policy import SourcePolicy, SourceRule, SourceSelector, SourceUpdate
from strake_builder.attestations.facts import FileMaterial, ImageMaterial, Material
from strake_builder.attestations.predicate import BUILD_TYPE
from strake_builder.attestations.purl import image_purl
from strake_builder.attestations.redaction import MASK
from strake_builder.errors import InvalidRequestError
from strake_builder.solve.policy.lock import locked
from strake_builder.solve.policy.sources import git_identity
from strake_oci.attestations import PROVENANCE
from strake_oci.errors import OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Reference

_ARGUMENT: Final = "build-arg:"
_LABEL: Final = "label:"
_CONTEXT: Final = "context:"
_PURL: Final = "pkg:docker/"
_COMMIT: Final = "sha1"
_LONG_COMMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A build as its provenance tells of it.

    Attributes:
        images: digests of the manifests that the statement is about.
        source: the build context; None where it was on a disk.
        dockerfile: path of the Dockerfile in the context.
        text: the Dockerfile, where the context has it not; None where it has.
        target: the stage; None for the last one.
        platform: that the image is for.
        arguments: build arguments by name.
        masked: names of those whose values the statement does not tell.
        contexts: named contexts.
        form: how the image is written.
        policy: pins everything that the statement has a digest of.
    """

    images: frozenset[Digest]
    source: Source | None
    dockerfile: str
    text: str | None
    target: str | None
    platform: str
    arguments: Mapping[str, str]
    masked: tuple[str, ...]
    contexts: tuple[NamedContext, ...]
    form: ImageForm
    policy: SourcePolicy = field(default_factory=SourcePolicy)


def read_provenance(statement: Any) -> Rebuild:
    """Return the build that a statement tells of.

    Args:
        statement: parsed JSON: SLSA provenance v1 of a Dockerfile's build, in the mode max.

    Raises:
        InvalidRequestError: it is something else, or tells too little.
    """
    if not isinstance(statement, dict) or statement.get("predicateType") != PROVENANCE:
        raise InvalidRequestError("it is no SLSA provenance v1", hint=_HINT)
    try:
        return _read(statement, statement["predicate"])
    except (KeyError, TypeError, AttributeError, ValueError, OCIError, StopIteration) as error:
        raise InvalidRequestError(f"the provenance lacks what a build needs: {error}", hint=_HINT) from error


_HINT: Final = "rebuild from provenance of the mode max, which `strake build --provenance=max` attests"


def _read(statement: Mapping[str, Any], predicate: Mapping[str, Any]) -> Rebuild:
    definition = predicate["buildDefinition"]
    if definition["buildType"] != BUILD_TYPE:
        raise InvalidRequestError(f"{definition['buildType']!r} is no build of a Dockerfile", hint=_HINT)
    external, internal = definition["externalParameters"], definition["internalParameters"]
    request, metadata = external["request"], predicate["runDetails"]["metadata"]
    if "buildConfig" not in internal:
        raise InvalidRequestError("the provenance is of the mode min: it lacks arguments", hint=_HINT)
    asked = request.get("args", {})
    arguments = _named(asked, _ARGUMENT)
    dependencies = definition.get("resolvedDependencies", ())
    local = {each["name"] for each in request.get("locals", ())}
    contexts = _named(asked, _CONTEXT)
    if left := sorted(name for name, value in contexts.items() if value.startswith("local:")):
        raise InvalidRequestError(
            f"the named context {left[0]} was on a disk, which nobody else has",
            hint=f"give it with --build-context {left[0]}=DIR",
        )
    return Rebuild(
        images=frozenset(
            Digest.parse(f"{algorithm}:{value}")
            for subject in statement["subject"]
            for algorithm, value in subject["digest"].items()
        ),
        source=_source(external["configSource"]),
        dockerfile=external["configSource"].get("path") or "Dockerfile",
        text=_dockerfile(metadata) if "dockerfile" in local else None,
        target=asked.get("target"),
        platform=internal["targetPlatform"],
        arguments={name: value for name, value in arguments.items() if value != MASK},
        masked=tuple(sorted(name for name, value in arguments.items() if value == MASK)),
        contexts=tuple(_context(name, value, dependencies) for name, value in contexts.items()),
        form=ImageForm(**{**internal.get("imageForm", {}), "labels": _named(asked, _LABEL)}),
        policy=_pins(dependencies),
    )


def _named(asked: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value
        for name, value in asked.items()
        if name.startswith(prefix) and isinstance(value, str)
    }


def _dockerfile(metadata: Mapping[str, Any]) -> str:
    (info,) = metadata["buildkit_metadata"]["source"]["infos"]
    return base64.b64decode(info["data"], validate=True).decode(errors="surrogateescape")


def _source(config: Mapping[str, Any]) -> Source | None:
    """Return the build context, by the digest that it had; None for one that has no URI."""
    uri, digest = config.get("uri"), config.get("digest", {})
    return None if uri is None else _resolved(uri, digest)


def _resolved(uri: str, digest: Mapping[str, str]) -> Source:
    if uri.startswith(_PURL):
        return Source(oci=OCISource(reference=f"{_image(uri).repository}@{_digest(digest)}"))
    url, _, fragment = uri.partition("#")
    _, _, subdirectory = fragment.partition(":")
    commit = digest.get(_COMMIT)
    if commit is None and len(digest.get("sha256", "")) == _LONG_COMMIT and fragment:
        commit = digest["sha256"]
    if commit is not None:
        return Source(git=GitSource(url=url, ref=commit, commit=commit, path=subdirectory or "."))
    return Source(http=HTTPSource(url=uri, checksum=str(_digest(digest))))


def _context(name: str, value: str, dependencies: Any) -> NamedContext:
    """Return a named context. Policies pin all but an artifact, which is no source to them."""
    if value.startswith("docker-image://"):
        return NamedContext(name=name, image=value.removeprefix("docker-image://"))
    url, separator, fragment = value.partition("#")
    if separator:
        ref, _, subdirectory = fragment.partition(":")
        git = GitSource(url=url, ref=ref or "HEAD", path=subdirectory or ".")
        return NamedContext(name=name, source=Source(git=git))
    if "://" in value:
        return NamedContext(name=name, source=Source(http=HTTPSource(url=value)))
    digests = (_digest(each["digest"]) for each in dependencies if each["uri"] == image_purl(value))
    repository = Reference.parse(value).repository
    return NamedContext(name=name, source=Source(oci=OCISource(reference=f"{repository}@{next(digests)}")))


def _pins(dependencies: Any) -> SourcePolicy:
    """Return what pins everything that a build was made from."""
    lock = locked(None, _materials(dependencies))
    repositories: dict[str, str] = {}
    for each in dependencies:
        commit = each["digest"].get(_COMMIT)
        if commit is None:
            continue
        if repositories.setdefault(each["uri"], commit) != commit:
            raise InvalidRequestError(
                f"the build used two commits of {each['uri']}, and provenance does not tell which one where",
                hint="name them by their hashes in the Dockerfile",
            )
    rules = [_of_repository(url, commit) for url, commit in repositories.items()]
    return lock.model_copy(update={"rules": (*lock.rules, *rules)})


def _of_repository(url: str, commit: str) -> SourceRule:
    """Return what pins a repository whatever the ref is: provenance has none, as BuildKit's."""
    name = git_identity(url, "", "").identifier
    return SourceRule(
        action="CONVERT",
        selector=SourceSelector(identifier=f"^{re.escape(name)}(?:#[^:]*(:.*)?)?$", match_type="REGEX"),
        updates=SourceUpdate(identifier=f"{name}#{commit}${{1}}"),
    )


def _materials(dependencies: Any) -> Iterator[Material]:
    for each in dependencies:
        uri, digest = each["uri"], each["digest"]
        if uri.startswith(_PURL):
            yield ImageMaterial(str(_image(uri)), _digest(digest))
        elif _COMMIT not in digest and "://" in uri:
            yield FileMaterial(uri, str(_digest(digest)))


def _image(purl: str) -> Reference:
    name, _, query = purl.removeprefix(_PURL).partition("?")
    named, _, tag = name.rpartition("@")
    digest = parse_qs(query).get("digest", [""])[0]
    reference = Reference.parse(f"{named}:{tag}" if named else tag)
    return Reference.parse(f"{reference}@{digest}") if digest else reference.with_default_tag()


def _digest(digest: Mapping[str, str]) -> Digest:
    return Digest.parse(f"sha256:{digest['sha256']}")
