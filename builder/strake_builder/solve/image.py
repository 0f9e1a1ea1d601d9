"""Puts the finished image together: config, history and manifest, from what the steps came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from strake_builder.frontend.evaluated import EvaluatedStage
from strake_builder.layers.tar_reader import ByteSource
from strake_builder.solve.image_layers import PulledLayer, StepLayer, WrittenLayer
from strake_builder.solve.stage import StageResult, StepRecord
from strake_oci import mediatype
from strake_oci.descriptor import Descriptor
from strake_oci.image import History, ImageConfig
from strake_oci.manifest import Manifest
from strake_oci.platform import Platform
from strake_oci.registry.client import RegistryClient

_COMMENT = "strake.dockerfile"

FinishedLayer = PulledLayer | WrittenLayer


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """An image, ready to be written somewhere.

    Attributes:
        config: its config, as bytes.
        config_descriptor: of the config.
        manifest: its manifest, as bytes.
        media_type: of the manifest.
        layers: bottom first.
    """

    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    media_type: str
    layers: tuple[FinishedLayer, ...]

    @property
    def compressed_size(self) -> int:
        """Bytes of all layers as they lie in a registry."""
        return sum(layer.descriptor.size for layer in self.layers)


def opener(layer: FinishedLayer, client: RegistryClient) -> Callable[[], AbstractContextManager[ByteSource]]:
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
    created: datetime,
    annotations: Mapping[str, str] | None = None,
) -> FinishedImage:
    """Wait for the last layers and describe the image.

    Args:
        result: of the target stage.
        evaluated: the target stage, for its configuration.
        base: config of the image that everything stands on, None for scratch.
        platform: of the image.
        created: the time that the image says.
        annotations: for the manifest.

    Raises:
        BuildError: a layer could not be written or pushed.
    """
    layers = tuple(layer for layer in map(_finished, result.layers) if layer is not None)
    stamp = created.astimezone(UTC).isoformat().replace("+00:00", "Z")
    history = tuple(h for h in (_history(record, stamp) for record in result.records) if h is not None)
    config = ImageConfig(
        platform=base.platform if base is not None else platform,
        config=evaluated.config,
        diff_ids=tuple(layer.diff_id for layer in layers),
        history=(*(base.history if base is not None else ()), *history),
        created=stamp,
        author=evaluated.author,
    )
    if base is not None and not base.platform.os:
        config = replace(config, platform=platform)
    encoded = config.serialize()
    descriptor = Descriptor.of(mediatype.OCI_CONFIG, encoded)
    manifest = Manifest(
        config=descriptor,
        layers=tuple(_oci(layer.descriptor) for layer in layers),
        annotations=annotations or {},
    )
    return FinishedImage(encoded, descriptor, manifest.serialize(), manifest.media_type, layers)


def _finished(layer: PulledLayer | StepLayer) -> FinishedLayer | None:
    if isinstance(layer, PulledLayer):
        return layer
    assert layer.blob is not None, "layers of an image have blobs"  # noqa: S101 - narrows the type
    return layer.blob.result()


def _history(record: StepRecord, stamp: str) -> History | None:
    step = record.step
    if step.created_by is None:
        return None
    empty = record.layer is None or (record.layer.blob is not None and record.layer.blob.result() is None)
    return History(created=stamp, created_by=step.created_by, comment=_COMMENT, empty_layer=empty)


_OCI_NAMES = {
    mediatype.DOCKER_LAYER: mediatype.OCI_LAYER,
    mediatype.DOCKER_LAYER_GZIP: mediatype.OCI_LAYER_GZIP,
    mediatype.DOCKER_LAYER_ZSTD: mediatype.OCI_LAYER_ZSTD,
}


def _oci(descriptor: Descriptor) -> Descriptor:
    """Return a layer's descriptor under its OCI name: a manifest of one family does not mix names."""
    name = _OCI_NAMES.get(descriptor.media_type, descriptor.media_type)
    return Descriptor(name, descriptor.digest, descriptor.size, urls=descriptor.urls)
