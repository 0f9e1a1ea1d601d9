"""Finds out what images are: manifests and configs, each once, many at a time, no layer yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from types import MappingProxyType

from strake_api.models.source import LayoutImage
from strake_builder.errors import BaseImageError, Location
from strake_builder.layers.blobs import PulledLayer, StoredLayer, WrittenLayer
from strake_oci.errors import OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.client import RegistryClient
from strake_oci.selection import FoundManifest, ImageSelection, read_config
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.manifest import parse as parse_manifest
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import DEFAULT_TAG, Reference, Repository
from strake_oci.stores.layout import Layout
from strake_oci.stores.layout_index import blob_path
from strake_oci.verify import despite_mirrors

Trusted = Callable[[str, Repository, tuple[Digest, ...]], None]


@dataclass(frozen=True, slots=True)
class PulledImage:
    """What a reference stands for on one platform.

    Attributes:
        reference: as the Dockerfile names it.
        descriptor: of what the reference resolved to, an index or a manifest.
        manifest: digest of the platform's manifest.
        config: the image's config.
        layers: bottom first; in a registry, or in files of an image layout.
        annotations: of the manifest.
    """

    reference: str
    descriptor: Descriptor
    manifest: Digest
    config: ImageConfig
    layers: tuple[StoredLayer, ...]
    annotations: Mapping[str, str]


class BaseImages:
    """Resolves references, each once.

    Args:
        client: talks to the registries.
        pool: where the requests run.
        meant: returns a hint for a reference that looks like a slip in a stage's name, or nothing.
        permitted: returns what is pulled for a reference, and raises BuildError for one that may not be
            named; called before a registry is asked.
        trusted: raises BuildError for an image that may not be used; called with its name, its repository,
            and the digests of what the name resolved to and of the platform's manifest.
        layouts: images in image layouts, by what stands for a reference.
    """

    def __init__(
        self,
        client: RegistryClient,
        pool: Executor,
        meant: Callable[[str], str],
        permitted: Callable[[Reference], Reference] = lambda reference: reference,
        trusted: Trusted = lambda _name, _repository, _digests: None,
        layouts: Mapping[str, LayoutImage] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._permitted = permitted
        self._trusted = trusted
        self._pool = pool
        self._meant = meant
        self._layouts = layouts
        self._lock = threading.Lock()
        self._images: dict[tuple[str, Platform], Future[PulledImage]] = {}

    def request(self, reference: str, platform: Platform) -> Future[PulledImage]:
        """Begin to resolve a reference, or return what began before."""
        key = (reference, platform)
        with self._lock:
            if key not in self._images:
                resolve = self._resolve_in_layout if reference in self._layouts else self._resolve
                self._images[key] = self._pool.submit(resolve, reference, platform)
            return self._images[key]

    def get(self, reference: str, platform: Platform, location: Location | None = None) -> PulledImage:
        """Return what a reference stands for.

        Raises:
            BaseImageError: it cannot be had; with the location of the instruction that wants it.
        """
        try:
            return self.request(reference, platform).result()
        except BaseImageError as error:
            hint = self._meant(reference) or error.hint
            raise type(error)(error.message, hint=hint, location=location) from error

    def resolved(self) -> tuple[PulledImage, ...]:
        """Return every image resolved so far, in the order they were asked for."""
        with self._lock:
            futures = list(self._images.values())
        return tuple(f.result() for f in futures if f.done() and f.exception() is None)

    def platforms(self) -> tuple[tuple[PulledImage, Platform], ...]:
        """Return what `resolved` does, each with the platform that was asked for."""
        with self._lock:
            asked = [(f, platform) for (_, platform), f in self._images.items()]
        return tuple((f.result(), p) for f, p in asked if f.done() and f.exception() is None)

    def all(self) -> tuple[PulledImage, ...]:
        """Wait for every image that was asked for, and return them.

        Raises:
            BaseImageError: one cannot be had.
        """
        with self._lock:
            futures = list(self._images.values())
        return tuple(future.result() for future in futures)

    def _resolve(self, text: str, platform: Platform) -> PulledImage:
        try:
            named = Reference.parse(text).with_default_tag()
            reference = self._permitted(named)
            text = text if reference == named else str(reference)
            repository = reference.repository
            name = reference.digest or reference.tag or "latest"
            top, data = self._client.manifest(repository, name)
            found = self._select(repository, _parsed(top, data), platform)
            manifest = found.image
            self._trusted(text, repository, (top.digest, found.descriptor.digest))
            config = self._config(repository, manifest.config)
        except OCIError as error:
            raise BaseImageError(f"cannot pull the image {text}: {error.account}", hint=error.hint) from error
        _check(text, manifest, config)
        layers = zip(manifest.layers, config.diff_ids, strict=True)
        pulled = tuple(PulledLayer(descriptor, diff_id, repository) for descriptor, diff_id in layers)
        return PulledImage(text, top, found.descriptor.digest, config, pulled, manifest.annotations)

    def _resolve_in_layout(self, text: str, platform: Platform) -> PulledImage:
        asked = self._layouts[text]
        try:
            layout = Layout(asked.path)

            def fetch(entry: Descriptor) -> FoundManifest:
                return _parsed(entry, layout.manifest(entry))

            def config_of(descriptor: Descriptor) -> ImageConfig:
                with layout.open_blob(descriptor) as reader:
                    return read_config(reader)

            latest = DEFAULT_TAG if DEFAULT_TAG in layout.tags() else ""  # else the only image there is
            top = fetch(layout.resolve(asked.digest or asked.tag or latest))
            found = ImageSelection(platform, fetch, config_of).find(top)
            config = config_of(found.image.config)
        except OCIError as error:
            raise BaseImageError(f"cannot use the image {text}: {error.account}", hint=error.hint) from error
        _check(text, found.image, config)
        layers = tuple(
            WrittenLayer(descriptor, diff_id, str(layout.path / blob_path(descriptor.digest)))
            for descriptor, diff_id in zip(found.image.layers, config.diff_ids, strict=True)
        )
        return PulledImage(
            text, top.descriptor, found.descriptor.digest, config, layers, found.image.annotations
        )

    def _config(self, repository: Repository, descriptor: Descriptor) -> ImageConfig:
        def read() -> ImageConfig:
            with self._client.open_blob(repository, descriptor) as reader:
                return read_config(reader)

        return despite_mirrors(read)

    def _select(self, repository: Repository, top: FoundManifest, platform: Platform) -> FoundManifest:
        def fetch(entry: Descriptor) -> FoundManifest:
            return _parsed(*self._client.manifest(repository, entry.digest))

        return ImageSelection(platform, fetch, partial(self._config, repository)).find(top)


def _parsed(descriptor: Descriptor, data: bytes) -> FoundManifest:
    return FoundManifest(descriptor, data, parse_manifest(data, descriptor.media_type))


def _check(text: str, manifest: Manifest, config: ImageConfig) -> None:
    if not manifest.is_image:
        raise BaseImageError(f"{text} is an artifact, not an image", hint="its config is no image config")
    if len(manifest.layers) != len(config.diff_ids):
        counts = f"{len(manifest.layers)} layers, its config of {len(config.diff_ids)}"
        raise BaseImageError(f"{text} is broken: its manifest speaks of {counts}")
    for layer in manifest.layers:
        if not mediatype.is_layer(layer.media_type):
            raise BaseImageError(f"{text} has a layer of an unknown kind, {layer.media_type}")
