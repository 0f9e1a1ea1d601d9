"""Layers on disk: each is downloaded and unpacked once, into a directory of its own, several at a time.

Download, decompression, the check of both digests and unpacking are one stream; nothing is stored packed.
A layer appears under its name by a rename, when it is whole: other builds may use the same directory.

Each is unpacked without the others, under its diff ID. The rare layer that looks otherwise over its lower
layers than alone (`rootfs.unpack.implicit_parents`) is unpacked once more when they are there, under a name
that names them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Final

from strake_builder import interrupt
from strake_builder.cache.usage import Usage
from strake_builder.layers.blobs import StoredLayer
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.rootfs.unpack.archive import unpack_layer
from strake_builder.rootfs.unpack.implicit_parents import ImplicitParents, read_implicit_parents
from strake_builder.rootfs.unpack.layer_applier import Unpacked
from strake_builder.solve.images.layer_reader import LayerReader, describe
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.images.volumes import IDS_OF_A_POD, BaseVolumes, MountedBase
from strake_builder.solve.workspace.scratch import scratch_directory
from strake_oci.images import Readable
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.digest import DiffID
from strake_oci.verify import despite_mirrors

_TREE: Final = "tree"
"""What a layer holds, in its directory."""
_PARENTS_FILE: Final = "gaps"
"""Notes its implicit parents, beside the tree; most have none. The name is that of caches in use."""
_CHAIN_SHOWN: Final = 32
_FORM: Final = "2"
"""To change when layers are unpacked otherwise, so that what is in a cache is not used."""


class LayerStore:
    """Hands out directories of layers. Thread-safe.

    Args:
        directory: an existing directory to unpack into.
        client: talks to the registries.
        pool: where layers are unpacked.
        reporter: hears of bytes that arrive.
        usage: holds the directories, where builds share them.
        limit: bytes that a layer may take on disk, see `Allowance`.
        volumes: base images that are mounted, and need no unpacking.
    """

    def __init__(
        self,
        directory: str,
        client: RegistryClient,
        pool: Executor,
        reporter: Reporter,
        usage: Usage | None = None,
        limit: int = MAX_UNPACKED,
        volumes: BaseVolumes | None = None,
    ) -> None:
        self._directory = directory
        self._reader = LayerReader(client, reporter)
        self._pool = pool
        self._reporter = reporter
        self._usage = usage
        self._limit = limit
        self._volumes = volumes or BaseVolumes()
        self._mounted: dict[str, MountedBase] = {}
        self._highest_ids: dict[DiffID, int] = {}
        self._lock = threading.Lock()
        self._unpacked: dict[tuple[DiffID, bool], Future[str]] = {}
        self._over: dict[tuple[DiffID, tuple[str, ...]], Future[str]] = {}

    def prefetch(self, layers: tuple[ImageLayer, ...]) -> None:
        """Begin to unpack layers that will be needed."""
        for position, layer in self._unmounted(layers):
            if not isinstance(layer, StepLayer):
                self._request(layer, lowest=position == 0)

    def directories(self, layers: tuple[ImageLayer, ...]) -> tuple[str, ...]:
        """Return the directories of an image's layers, bottom first, unpacked.

        A volume stands for the lowest layers as one directory; above them each layer has its own.

        Raises:
            BaseImageError: a layer cannot be pulled, or is not what its digest or diff ID says.
            OutOfDiskError: the work directory is full.
        """
        self.prefetch(layers)
        mounted = self._volumes.under(layers)
        directories = [mounted.directory] if mounted.layers else []
        if mounted.layers:
            self._mounted[mounted.directory] = mounted
        for position, layer in enumerate(layers[mounted.layers :], mounted.layers):
            if isinstance(layer, StepLayer):
                directories.append(layer.directory)
            else:
                alone = self._request(layer, lowest=position == 0).result()
                directories.append(self._over_others(layer, alone, tuple(directories)))
        return tuple(directories)

    def has(self, layers: Sequence[StoredLayer]) -> bool:
        """Say whether all the layers of an image are on disk already, by a volume, this build or another."""
        mounted = self._volumes.under(layers).layers
        names = (_name(layer, lowest=at == 0) for at, layer in enumerate(layers[mounted:], mounted))
        return all(os.path.isdir(os.path.join(self._directory, name)) for name in names)

    def alone(self, layers: Sequence[ImageLayer]) -> tuple[str, ...] | None:
        """Return the directories of layers that are not the lowest, bottom first, unpacked.

        None where one of them depends on lower layers: it can only be had from `directories`.

        Raises:
            BaseImageError, OutOfDiskError: as `directories`.
        """
        directories = [
            layer.directory if isinstance(layer, StepLayer) else self._request(layer, lowest=False).result()
            for layer in layers
        ]
        implied = map(_implicit_parents, directories)
        needy = any(each is not None and each.need_lower_layers for each in implied)
        return None if needy else tuple(directories)

    def can_be_mounted(self, layers: Sequence[StoredLayer]) -> bool:
        """Say whether an image volume could have brought, or brought, layers whose files the build needed.

        A volume shows owners that a pod has no IDs for as nobody: such an image is better unpacked.
        """
        if self._volumes.under(layers).directory in self._mounted:
            return True
        ids = [self._highest_ids.get(layer.diff_id, IDS_OF_A_POD) for layer in layers]
        return bool(ids) and max(ids) < IDS_OF_A_POD

    def _unmounted(self, layers: Sequence[ImageLayer]) -> list[tuple[int, ImageLayer]]:
        """Return the layers that no volume stands for, with their positions."""
        return list(enumerate(layers))[self._volumes.under(layers).layers :]

    def _request(self, layer: StoredLayer, *, lowest: bool) -> Future[str]:
        key = (layer.diff_id, lowest)
        with self._lock:
            if key not in self._unpacked:
                name = _name(layer, lowest=lowest)
                self._unpacked[key] = self._pool.submit(self._unpack, layer, name, () if lowest else None)
            return self._unpacked[key]

    def _over_others(self, layer: StoredLayer, alone: str, others: tuple[str, ...]) -> str:
        """Return the directory of a layer as it is over others (bottom first); for most it is as alone."""
        implied = _implicit_parents(alone) if others else None
        if implied is None:
            return alone
        key = (layer.diff_id, others)
        with self._lock:
            if key not in self._over:
                self._over[key] = self._pool.submit(self._unpack_over, layer, alone, implied, others[::-1])
            future = self._over[key]
        return future.result()

    def _unpack_over(
        self, layer: StoredLayer, alone: str, implied: ImplicitParents, lowers: tuple[str, ...]
    ) -> str:
        if not implied.matter(lowers):
            return alone
        stack = "\0".join(map(self._identity, lowers))
        chain = hashlib.sha256(os.fsencode(stack)).hexdigest()[:_CHAIN_SHOWN]
        return self._unpack(layer, f"{_prefix(layer)}-{chain}", lowers)

    def _identity(self, directory: str) -> str:
        """Return what names the tree of a directory for every build that shares the store."""
        mounted = self._mounted.get(directory)
        return mounted.identity if mounted else os.path.relpath(directory, self._directory)

    def _unpack(self, layer: StoredLayer, name: str, lowers: tuple[str, ...] | None) -> str:
        """Unpack a layer under a name, if it is not there, and return its directory."""
        home = os.path.join(self._directory, name)
        directory = os.path.join(home, _TREE)
        interrupt.check()
        self._hold(name)
        if not os.path.isdir(directory):
            despite_mirrors(lambda: self._unpack_anew(layer, home, lowers))
        return directory

    def _unpack_anew(self, layer: StoredLayer, home: str, lowers: tuple[str, ...] | None) -> None:
        name = os.path.basename(home)
        with scratch_directory(self._directory, name) as scratch:
            tree = os.path.join(scratch.path, _TREE)
            os.chmod(scratch.path, 0o755)
            os.mkdir(tree, 0o755)
            self._hold(name, self._fill(tree, layer, lowers))
            with contextlib.suppress(OSError):  # another build was quicker
                scratch.keep_as(home)

    def _hold(self, name: str, size: int | None = None) -> None:
        if self._usage is not None:
            self._usage.hold(f"layer-{name}", size)

    def _fill(self, tree: str, layer: StoredLayer, lowers: tuple[str, ...] | None) -> int:
        """Unpack a layer; return the bytes of its tar stream."""

        def unpack(stream: Readable) -> Unpacked:
            return unpack_layer(
                stream,
                tree,
                lowest=lowers == (),
                lowers=lowers or None,
                parents_file=_parents_file(tree),
                limit=self._limit,
            )

        unpacked, size = self._reader.read(layer, unpack)
        self._highest_ids[layer.diff_id] = unpacked.highest_id
        if unpacked.devices_left_out:
            count, what = unpacked.devices_left_out, describe(layer)
            self._reporter.warn(f"{count} device nodes of {what} cannot be made in a user namespace")
        return size


def _name(layer: StoredLayer, *, lowest: bool) -> str:
    """Return the name of a layer's directory."""
    return _prefix(layer) + ("-lowest" if lowest else "")


def _prefix(layer: StoredLayer) -> str:
    return f"{layer.diff_id.algorithm}-{layer.diff_id.encoded}-{_FORM}"


def _parents_file(tree: str) -> str:
    return os.path.join(os.path.dirname(tree), _PARENTS_FILE)


def _implicit_parents(tree: str) -> ImplicitParents | None:
    return read_implicit_parents(_parents_file(tree))
