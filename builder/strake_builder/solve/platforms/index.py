"""Makes the index of images that builds of their own have pushed, and moves the tags to it.

The builds' results name the images, and a step can have written a result. So each image is read, and must be
what it is called: an image, for that platform, in the build's own repositories, where alone it is looked for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strake_api.reasons import ProgressReason
from strake_api.result import BuildSucceeded, PlatformImage
from strake_api.values.destinations import run_values
from strake_builder import interrupt
from strake_builder.errors import InvalidRequestError, OutputError, PushUnauthorizedError
from strake_builder.output.push import Pusher
from strake_builder.solve.phases import Phases, deadline
from strake_builder.solve.planning.destinations import filled_destinations, parse_destinations
from strake_builder.solve.signer import open_signer
from strake_oci.attestations import attested_index, is_attestation
from strake_oci.errors import (
    CredentialError,
    DeniedError,
    InvalidDocumentError,
    InvalidValueError,
    ManifestUnknownError,
    OCIError,
    UnauthorizedError,
)
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.client import RegistryClient
from strake_oci.registry.images import RegistryImages
from strake_oci.selection import FoundManifest, read_image_config
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.platform import Platform
from strake_oci.transfers.joining import NamedEntries, join_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strake_api.requests.index import IndexImage, IndexRequest
    from strake_builder.progress.reporter import Reporter
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.cancellation import Cancellation
    from strake_oci.spec.manifest import Index
    from strake_oci.spec.reference import Reference, Repository

_REBUILD = "run the build again: it pushes the images anew"


def push_index(
    request: IndexRequest, inputs: BuildInputs, reporter: Reporter, cancellation: Cancellation
) -> BuildSucceeded:
    """Push the index to every destination's repository, sign it, then move the tags.

    Args:
        request: the images, and where the index goes.
        inputs: credentials, and how registries are reached.
        reporter: hears of progress.
        cancellation: stops it from outside.

    Raises:
        BuildError: there is no index, and no tag has moved; or pushing to a destination failed midway.
    """
    values = run_values(request.revision, datetime.now(UTC))
    destinations = parse_destinations(filled_destinations(request.output.destinations, values))
    if not destinations:
        raise InvalidRequestError("the request has no destination", hint="name at least one")
    images = _wanted(request.images)
    for warning in request.warnings:
        reporter.warn(warning)
    phases = Phases(reporter, cancellation)
    settings, push = inputs.registries.without_mirrors(), inputs.credentials.push
    with (
        deadline(request.timeout_seconds, cancellation),
        interrupt.interrupted_by(cancellation.check),
        open_signer(inputs, cancellation) as signer,
        RegistryClient(settings, push, warn=reporter.warn, cancellation=cancellation) as client,
    ):
        if signer is not None:
            signer.check(destinations[0].repository)
        with phases.entered(ProgressReason.PUSHING, "push"):
            index = _index(client, destinations, images, request.output.annotations)
            content = index.serialize()
            # First the index is everywhere, and signed there: a tag that moves names nothing half done.
            attested = [each.attestation for each in images if each.attestation is not None]
            for tags, by in ((False, signer), (True, None)):
                pusher = Pusher(client, client, destinations, reporter, by, tags=tags)
                pusher.push_manifest(content, index.media_type, attested=attested)
    repositories = dict.fromkeys(each.repository for each in destinations)
    digest = Descriptor.of(index.media_type, content).digest
    return BuildSucceeded(
        platform=",".join(str(each.platform) for each in images),
        source_revision=request.revision,
        digest=str(digest),
        images=tuple(f"{repository}@{digest}" for repository in repositories),
        references=tuple(map(str, destinations)),
        platforms=tuple(map(_Wanted.result, images)),
        durations=phases.durations(),
        warnings=tuple(reporter.warnings),
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An image of the request.

    Attributes:
        platform: that it is for.
        digest: of its manifest.
        attestation: of the manifest of its attestation.
        is_listed: whether the attestation is to be in the index, too.
    """

    platform: Platform
    digest: Digest
    attestation: Digest | None
    is_listed: bool

    def result(self) -> PlatformImage:
        """Return what a result tells of it."""
        return PlatformImage(platform=str(self.platform), digest=str(self.digest))


def _wanted(images: Sequence[IndexImage]) -> list[_Wanted]:
    """Return the images of a request.

    Raises:
        InvalidRequestError: a platform or digest is none.
    """
    try:
        return [
            _Wanted(
                Platform.parse(each.platform),
                Digest.parse(each.digest),
                None if each.attestation is None else Digest.parse(each.attestation),
                each.attestation_form == "index",
            )
            for each in images
        ]
    except InvalidValueError as error:
        raise InvalidRequestError(f"an image of the index: {error.message}", hint=error.hint) from error


def _index(
    client: RegistryClient,
    destinations: Sequence[Reference],
    images: Sequence[_Wanted],
    annotations: Mapping[str, str],
) -> Index:
    """Return the index of the images, which every repository has."""
    first, *others = dict.fromkeys(each.repository for each in destinations)
    named = [NamedEntries(f"{first}@{each.digest}", _entries(client, first, each)) for each in images]
    for repository in others:
        for each in named:
            for entry in each.entries:
                _read(client, repository, entry.digest)
    try:
        return join_images(named, annotations)
    except InvalidDocumentError as error:
        raise InvalidRequestError(f"cannot make the index: {error.message}", hint=error.hint) from error


def _entries(client: RegistryClient, repository: Repository, wanted: _Wanted) -> tuple[Descriptor, ...]:
    """Return what an image, and its attestation, are as entries of the index."""
    found = _read(client, repository, wanted.digest)
    shown, manifest = f"{repository}@{wanted.digest}", found.document
    if not isinstance(manifest, Manifest) or not manifest.is_image:
        raise _forged(f"{shown} is no image for a platform")
    with _explained(repository):
        built = read_image_config(RegistryImages(client, repository), manifest.config).platform
    _check_platform(shown, built, wanted.platform)
    if wanted.attestation is None:
        return (replace(found.descriptor, platform=wanted.platform),)
    attestation = _read(client, repository, wanted.attestation)
    _check_attestation(f"{repository}@{wanted.attestation}", attestation, wanted.digest)
    if not wanted.is_listed:
        return (replace(found.descriptor, platform=wanted.platform),)
    return attested_index(found.descriptor, wanted.platform, attestation.descriptor).manifests


def _check_platform(shown: str, built: Platform, wanted: Platform) -> None:
    if built.normalized() != wanted.normalized():
        raise _forged(f"{shown} is an image for {built}, and the request has it for {wanted}")


def _check_attestation(shown: str, found: FoundManifest, image: Digest) -> None:
    document = found.document
    if not is_attestation(document) or document.subject is None or document.subject.digest != image:
        raise _forged(f"{shown} is no attestation of {image}")


def _forged(message: str) -> InvalidRequestError:
    hint = f"a step may have written the result of its build: do not use what it pushed; {_REBUILD}"
    return InvalidRequestError(message, hint=hint)


def _read(client: RegistryClient, repository: Repository, digest: Digest) -> FoundManifest:
    """Return a manifest, which its digest proves."""
    with _explained(repository):
        descriptor, data = client.manifest(repository, digest)
        return FoundManifest(descriptor, data, parse(data, descriptor.media_type))


class _explained:  # noqa: N801 - reads as the statement it is
    """Turns the library's errors into the builder's, with the repository in front."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        what = f"cannot read an image of the index in {self._repository}"
        if isinstance(error, ManifestUnknownError):
            raise OutputError(f"{what}: {error.message}", hint=f"somebody removed it; {_REBUILD}") from error
        if isinstance(error, (UnauthorizedError, DeniedError, CredentialError)):
            raise PushUnauthorizedError(f"{what}: {error.message}", hint=error.hint) from error
        if isinstance(error, OCIError):
            raise OutputError(f"{what}: {error.message}", hint=error.hint) from error
