"""Puts the finished image together: config, history and manifest, from the step results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import field, replace
from datetime import UTC, datetime

from strake_api.requests.build import BuildRequest
from strake_builder.cache.inline import ANNOTATION, inline_note
from strake_builder.cache.keys import Key
from strake_builder.errors import InvalidRequestError
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.output.attached import Attached
from strake_builder.solve.images.layers import PulledLayer, StepLayer, WrittenLayer
from strake_builder.solve.images.stage_result import StageResult, StepRecord
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.client import RegistryClient
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.image import History, ImageConfig, timestamp
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.mediatype import Compression
from strake_oci.spec.platform import Platform

_COMMENT = "strake.dockerfile"

FinishedLayer = PulledLayer | WrittenLayer


@dataclass(frozen=True, slots=True)
class ImageNotes:
    """What an image says about itself besides what its Dockerfile does.

    Attributes:
        created: the time of the image and of the steps in its history; None for when each step ended.
            What a base image says of its own steps stays.
        labels: for the config, over those of the Dockerfile.
        annotations: for the manifest.
        docker: media types are Docker's instead of OCI's.
        inline_cache: say in the manifest which steps the layers are, so that the image serves as a cache.
    """

    created: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    docker: bool = False
    inline_cache: bool = False


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """An image, ready to be written somewhere.

    Attributes:
        config: its config, as bytes.
        config_descriptor: of the config.
        manifest: its manifest, as bytes.
        media_type: of the manifest.
        layers: bottom first.
        attestation: of the image; None where none is made.
        attested: whether every destination took it.
    """

    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    media_type: str
    layers: tuple[FinishedLayer, ...]
    attestation: Attached | None = None
    attested: bool = False

    @property
    def descriptor(self) -> Descriptor:
        """Of the manifest."""
        return Descriptor.of(self.media_type, self.manifest)

    @property
    def named(self) -> Descriptor:
        """What the image's names point to: its manifest, or the index it lies in with its attestation."""
        index = self.attestation.index if self.attestation else None
        return self.descriptor if index is None else Descriptor.of(mediatype.OCI_INDEX, index)

    @property
    def compressed_size(self) -> int:
        """Bytes of all layers as they lie in a registry."""
        return sum(layer.descriptor.size for layer in self.layers)


def image_notes(request: BuildRequest, epoch: int | None) -> ImageNotes:
    """Return what a request wants an image to say about itself, with a time of its own or None."""
    output = request.output
    return ImageNotes(
        created=None if epoch is None else datetime.fromtimestamp(epoch, UTC),
        labels=output.labels,
        annotations=output.annotations,
        docker=output.media_types == "docker",
        inline_cache=request.cache.inline,
    )


def opener(layer: FinishedLayer, client: RegistryClient) -> Callable[[], AbstractContextManager[Readable]]:
    """Return what opens a layer's blob: the file that was written, or the registry that has it."""
    if isinstance(layer, WrittenLayer):
        path = layer.path
        return lambda: open(path, "rb")
    return lambda: client.open_blob(layer.repository, layer.descriptor)


def finish_image(
    result: StageResult,
    evaluated: EvaluatedStage,
    base: ImageConfig | None,
    platform: Platform,
    notes: ImageNotes,
    *,
    named: bool,
) -> FinishedImage:
    """Wait for the last layers and describe the image.

    Args:
        result: of the target stage.
        evaluated: the target stage, for its configuration.
        base: config of the base image, None for scratch.
        platform: that is built for.
        notes: what else the image says.
        named: whether the platform was asked for, and is no default.

    Raises:
        BuildError: a layer could not be written or pushed.
    """
    layers = tuple(layer for layer in map(_finished, result.layers) if layer is not None)
    stamps = _stamps(result.records, base, notes.created)
    history = tuple(h for h in map(_history, result.records, stamps) if h is not None)
    config = ImageConfig(
        platform=image_platform(base, platform, named=named),
        config=replace(evaluated.config, labels={**evaluated.config.labels, **notes.labels}),
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=(*(base.history if base is not None else ()), *history),
        created=stamps[-1],
        author=evaluated.author,
    )
    encoded = config.serialize()
    descriptor = Descriptor.of(mediatype.DOCKER_CONFIG if notes.docker else mediatype.OCI_CONFIG, encoded)
    manifest = Manifest(
        config=descriptor,
        layers=tuple(_renamed(layer.descriptor, docker=notes.docker) for layer in layers),
        media_type=mediatype.DOCKER_MANIFEST if notes.docker else mediatype.OCI_MANIFEST,
        annotations={**notes.annotations, **(_inline_cache(result) if notes.inline_cache else {})},
    )
    return FinishedImage(encoded, descriptor, manifest.serialize(), manifest.media_type, layers)


def image_platform(base: ImageConfig | None, wanted: Platform, *, named: bool) -> Platform:
    """Return the platform of an image: as BuildKit, the one that was asked for before that of the base."""
    if base is None or not base.platform.os:
        return wanted
    of_base = base.platform.normalized()
    if not named:
        return of_base
    if (of_base.os, of_base.architecture) != (wanted.os, wanted.architecture):
        return wanted
    return replace(of_base, variant=wanted.variant or of_base.variant)


def _finished(layer: FinishedLayer | StepLayer) -> FinishedLayer | None:
    if not isinstance(layer, StepLayer):
        return layer
    assert layer.blob is not None, "layers of an image have blobs"  # noqa: S101 - narrows the type
    return layer.blob.result()


def _inline_cache(result: StageResult) -> dict[str, str]:
    """Return the annotation that says which step each layer is."""
    position = len(result.layers) - sum(record.layer is not None for record in result.records)
    notes: list[tuple[tuple[Key, ...], int | None, datetime]] = []
    for record in result.records:
        if record.created is None:
            continue
        is_there = record.layer is not None and _finished(record.layer) is not None
        if record.key is not None:
            notes.append(((record.key,), position if is_there else None, record.created))
        position += is_there
    return {ANNOTATION: inline_note(notes)}


def _stamps(
    records: tuple[StepRecord, ...], base: ImageConfig | None, fixed: datetime | None
) -> list[str | None]:
    """Return the time of each step, and last that of the image.

    A step that only changes the configuration has the time of its base, so that an image whose
    steps all come from a cache, or that only adds to a configuration, is the same image every time. With
    nothing at all below it there is no time.
    """
    if fixed is not None:
        return [timestamp(fixed)] * (len(records) + 1)
    stamps: list[str | None] = []
    latest = base.created if base is not None else None
    for record in records:
        if record.created is not None:
            latest = timestamp(record.created)
        stamps.append(latest)
    return [*stamps, latest]


def _history(record: StepRecord, stamp: str | None) -> History | None:
    step = record.step
    if step.created_by is None:
        return None
    empty = record.layer is None or _finished(record.layer) is None
    return History(created=stamp, created_by=step.created_by, comment=_COMMENT, empty_layer=empty)


def refuse_unnamed_layers(layers: tuple[FinishedLayer, ...], *, docker: bool) -> None:
    """Refuse a base image whose layers have no name in the family of media types that is asked for.

    Raises:
        InvalidRequestError: the layers are zstd's and the family is Docker's, which has no media
            type for them.
    """
    for layer in layers:
        if docker and mediatype.layer_compression(layer.descriptor.media_type) is Compression.ZSTD:
            raise InvalidRequestError(
                "the base image has zstd layers, for which Docker has no media type",
                hint="use OCI media types",
            )


def _renamed(descriptor: Descriptor, *, docker: bool) -> Descriptor:
    """Return a layer's descriptor under its family's name: a manifest of one family does not mix names."""
    compression = mediatype.layer_compression(descriptor.media_type)
    if compression is None or mediatype.is_foreign(descriptor.media_type):
        return descriptor
    name = mediatype.layer_type(compression, docker=docker)
    return Descriptor(name, descriptor.digest, descriptor.size, urls=descriptor.urls)
