"""Outlines of layers that are only read: each is downloaded and checked once, and no file of it is made."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from strake_builder import interrupt
from strake_builder.layers.blobs import StoredLayer
from strake_builder.rootfs.layer_outline import LayerOutline, outline_layer
from strake_builder.rootfs.outline import UnfitForOutlineError
from strake_builder.rootfs.outlined_layers import OutlinedLayers
from strake_builder.solve.images.layer_reader import LayerReader
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.images import Readable
from strake_oci.spec.digest import DiffID
from strake_oci.verify import despite_mirrors


class BaseOutlines:
    """Makes outlines, each once. Thread-safe.

    Args:
        workspace: where they are made.
        reader: reads the layers.
        pool: where they are read.
        limit: bytes that a layer may take when it is unpacked, see `Allowance`.
    """

    def __init__(self, workspace: Workspace, reader: LayerReader, pool: Executor, limit: int) -> None:
        self._workspace = workspace
        self._reader = reader
        self._pool = pool
        self._limit = limit
        self._lock = threading.Lock()
        self._read: dict[tuple[DiffID, bool], Future[tuple[LayerOutline, str]]] = {}
        self._stacked: dict[tuple[DiffID, ...], OutlinedLayers | None] = {}
        self._open = contextlib.ExitStack()

    def close(self) -> None:
        """Forget all outlines."""
        self._open.close()

    def request(self, layers: Sequence[StoredLayer]) -> None:
        """Begin to read the layers of an image, bottom first."""
        for position, layer in enumerate(layers):
            self._request(layer, lowest=position == 0)

    def get(self, layers: Sequence[StoredLayer]) -> OutlinedLayers | None:
        """Return the outline of an image's layers, bottom first; None where it has none.

        Raises:
            BaseImageError, OutOfDiskError: as `LayerStore.directories`.
        """
        futures = [self._request(layer, lowest=position == 0) for position, layer in enumerate(layers)]
        key = tuple(layer.diff_id for layer in layers)
        try:
            made = [future.result() for future in futures]
            with self._lock:
                if key not in self._stacked:
                    self._stacked[key] = None
                    self._stacked[key] = self._stack(made)
                return self._stacked[key]
        except UnfitForOutlineError:
            return None

    def _stack(self, made: Sequence[tuple[LayerOutline, str]]) -> OutlinedLayers:
        stacked = OutlinedLayers.stack(
            [outline for outline, _ in made],
            [parents_file for _, parents_file in made],
            self._workspace.path,
            self._lock,
        )
        self._open.callback(stacked.close)
        return stacked

    def _request(self, layer: StoredLayer, *, lowest: bool) -> Future[tuple[LayerOutline, str]]:
        key = (layer.diff_id, lowest)
        with self._lock:
            if key not in self._read:
                self._read[key] = self._pool.submit(self._outline, layer, lowest=lowest)
            return self._read[key]

    def _outline(self, layer: StoredLayer, *, lowest: bool) -> tuple[LayerOutline, str]:
        interrupt.check()
        return despite_mirrors(lambda: self._outline_once(layer, lowest=lowest))

    def _outline_once(self, layer: StoredLayer, *, lowest: bool) -> tuple[LayerOutline, str]:
        home = self._workspace.directory(self._workspace.new_name("outline"))
        tree, parents_file = os.path.join(home, "tree"), os.path.join(home, "parents")
        os.mkdir(tree, 0o755)

        def outline(stream: Readable) -> LayerOutline:
            made = outline_layer(
                stream, tree, lowest=lowest, parents_file=parents_file, scratch=home, limit=self._limit
            )
            with self._lock:
                self._open.callback(made.close)
            return made

        return self._reader.read(layer, outline)[0], parents_file
