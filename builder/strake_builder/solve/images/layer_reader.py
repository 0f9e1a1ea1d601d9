"""Reads a layer once, as one stream: download, decompression, and the check of both digests at its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar, assert_never

from strake_builder import interrupt
from strake_builder.errors import BaseImageError
from strake_builder.layers.blobs import PulledLayer, StoredLayer, WrittenLayer
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError, MalformedLayerError
from strake_builder.layers.hashed import HashedStream
from strake_builder.progress.reporter import Reporter
from strake_builder.progress.transfer import Transfer
from strake_builder.unforeseen import from_os_error
from strake_oci.errors import MirrorError, OCIError
from strake_oci.images import Readable
from strake_oci.read_ahead import ReadAhead
from strake_oci.registry.client import RegistryClient

_Taken = TypeVar("_Taken")


class LayerReader:
    """Reads layers. Thread-safe.

    Args:
        client: talks to the registries.
        reporter: hears of bytes that arrive.
    """

    def __init__(self, client: RegistryClient, reporter: Reporter) -> None:
        self._client = client
        self._reporter = reporter

    def read(self, layer: StoredLayer, take: Callable[[Readable], _Taken]) -> tuple[_Taken, int]:
        """Return what `take` makes of a layer's tar stream, and the bytes of the stream.

        Args:
            layer: the layer.
            take: reads the stream to its end; what it raises besides the errors named here is passed on.

        Raises:
            BaseImageError: the layer cannot be pulled, or is not what its digest or diff ID says.
            OutOfDiskError: there is no room for what `take` makes.
            MirrorError: a mirror failed, and the registry itself can be asked.
        """
        what = describe(layer)
        progress = self._progress(layer) if isinstance(layer, PulledLayer) else None
        try:
            with self._open(layer, progress) as packed:
                stream = HashedStream(DecompressedStream(packed))
                try:
                    with ReadAhead(stream) as ahead:
                        taken = take(ahead)
                except LayerError:
                    _read_out(packed)  # it may not be what was asked for, which only the end tells
                    raise
                _read_out(packed)  # what follows the compressed stream belongs to the blob's digest
            if isinstance(layer, PulledLayer):
                self._reporter.arrived(layer.descriptor.size)
        except MirrorError:
            raise
        except OCIError as error:
            raise BaseImageError(f"cannot pull {what}: {error.account}", hint=error.hint) from error
        except LayerError as error:
            raise MalformedLayerError(f"cannot unpack {what}: {error.message}", hint=error.hint) from error
        except OSError as error:
            raise from_os_error(error, f"cannot unpack {what}") from error
        if stream.hasher.digest() != layer.diff_id:
            raise MalformedLayerError(
                f"{what} holds {stream.hasher.digest()}, its image says {layer.diff_id}"
            )
        return taken, stream.hasher.size

    def _progress(self, layer: PulledLayer) -> Transfer:
        name, size = str(layer.repository), layer.descriptor.size
        return Transfer(lambda done: self._reporter.pulled(name, done, size), size)

    def _open(
        self, layer: StoredLayer, on_bytes: Callable[[int], None] | None
    ) -> AbstractContextManager[Readable]:
        match layer:
            case PulledLayer():
                return self._client.open_blob(layer.repository, layer.descriptor, on_bytes)
            case WrittenLayer():
                return open(layer.path, "rb")
            case _:
                assert_never(layer)


def describe(layer: StoredLayer) -> str:
    """Return what messages call a layer."""
    what = f"the layer {layer.descriptor.digest}"
    return f"{what} of {layer.repository}" if isinstance(layer, PulledLayer) else what


def _read_out(packed: Readable) -> None:
    for _ in interrupt.pieces(packed):
        pass
