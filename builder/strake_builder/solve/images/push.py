"""Brings an image to its destinations: layers as soon as they are known, the manifest last."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future

from strake_builder.errors import BuildError
from strake_builder.layers.blobs import PulledLayer, StoredLayer
from strake_builder.output.attached import Attached
from strake_builder.output.local import from_bytes
from strake_builder.output.push import Pusher
from strake_builder.solve.images.assemble import FinishedImage, opener
from strake_oci.cancellation import Cancellation
from strake_oci.registry.client import RegistryClient


class ImagePush:
    """The push of one image.

    Args:
        pusher: writes to the destinations.
        client: reads layers of base images and caches.
        pool: where layers are brought.
        cancellation: stopped by a destination that refuses a layer, so that no step runs for nothing.
    """

    def __init__(
        self, pusher: Pusher, client: RegistryClient, pool: Executor, cancellation: Cancellation
    ) -> None:
        self._pusher = pusher
        self._client = client
        self._pool = pool
        self._cancellation = cancellation
        self._begun: list[Future[None]] = []

    def begin(self, layers: Iterable[StoredLayer]) -> None:
        """Begin to bring layers to the destinations; nothing is waited for."""
        self._begun += [self._pool.submit(self._bring, layer) for layer in layers]

    def by_digest(self, image: FinishedImage) -> None:
        """Bring the image without a name, a signature or an attestation: what it must pass is to come.

        Raises:
            BuildError: a destination refused something, or the build was stopped.
        """
        self._await()
        self.begin(image.layers)
        config = from_bytes(image.config)
        self._begun.append(self._pool.submit(self._pusher.push_blob, image.config_descriptor, config))
        self._await()
        self._cancellation.check()
        self._pusher.push_by_digest(image.descriptor, image.manifest)

    def finish(self, image: FinishedImage, attestation: Attached | None = None) -> bool:
        """Bring what is not there, and then the image under its names.

        Args:
            image: the image.
            attestation: brought before a name points to the image.

        Returns:
            Whether every destination took the attestation.

        Raises:
            BuildError: a destination refused something, or the build was stopped: there is no new tag.
        """
        self._await()
        self.begin(image.layers)
        small = ((image.config_descriptor, image.config), *(attestation.blobs if attestation else ()))
        for descriptor, content in small:
            self._begun.append(self._pool.submit(self._pusher.push_blob, descriptor, from_bytes(content)))
        self._await()
        self._cancellation.check()
        return self._pusher.push_manifest(image.manifest, image.media_type, attestation)

    def _await(self) -> None:
        for push in self._begun:
            push.result()
        self._begun.clear()

    def _bring(self, layer: StoredLayer) -> None:
        try:
            if isinstance(layer, PulledLayer):
                self._pusher.copy_blob(layer.repository, layer.descriptor)
            else:
                self._pusher.push_blob(layer.descriptor, opener(layer, self._client))
        except BuildError as error:
            self._cancellation.cancel(error)
            raise
