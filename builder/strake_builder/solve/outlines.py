"""Lets the last steps of a stage run without the layers below them, where none of them is a RUN.

Where a RUN follows, the layers are needed anyhow. Where none does, the most frequent change of all, another
source under the same dependencies, costs a small document of the cache for each step in place of a download
of everything that it stands on. The documents are written when a step ran over the real layers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key, outline_key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.errors import BuildError
from strake_builder.frontend.steps import AddStep, CopyStep, RunStep, WorkdirStep
from strake_builder.layers.blobs import StoredLayer
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.layers.format import LayerFormat
from strake_builder.layers.hashed import HashedStream
from strake_builder.layers.pipeline import write_blob
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.changes import tar_stream
from strake_builder.rootfs.outline import Outline, UnfitForOutlineError, outline_of
from strake_builder.solve.image_layers import ImageLayer, StepLayer, WrittenLayer
from strake_builder.solve.layer_store import LayerStore
from strake_builder.solve.step_results import CacheUse, diff_ids
from strake_builder.solve.workspace import Workspace
from strake_oci.descriptor import Descriptor
from strake_oci.digest import DiffID
from strake_oci.errors import OCIError

_Writing: TypeAlias = CopyStep | AddStep | WorkdirStep

_LOOKUPS: Final = 8
_PIECE: Final = 1 << 20
_LARGEST: Final = 4 << 20
_FORM: Final = LayerFormat()


@dataclass(frozen=True, slots=True)
class StandIn:
    """An outline in place of a step's lowest layers.

    Attributes:
        outline: the outline.
        layers: how many layers it stands for.
    """

    outline: Outline
    layers: int


class Outlines:
    """The outlines of one build. Thread-safe.

    Args:
        workspace: where they are made and unpacked.
        store: opens layers, and knows which are on disk already.
        use: the caches.
        pool: where outlines are made, while the build goes on.
        reporter: hears of what cannot be used.
    """

    def __init__(
        self, workspace: Workspace, store: LayerStore, use: CacheUse, pool: Executor, reporter: Reporter
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._use = use
        self._pool = pool
        self._reporter = reporter
        self._keeping: list[Future[None]] = []

    def of_stage(
        self, stage: int, layers: tuple[ImageLayer, ...], ground: int, steps: Mapping[int, FileStep]
    ) -> dict[int, StandIn]:
        """Return outlines for the steps that a stage has left to run; none at all if one is missing.

        Args:
            stage: its index.
            layers: below the first of the steps, bottom first.
            ground: how many of them are below the steps after the last RUN.
            steps: by position in the stage.
        """
        if not self._use.reads or stage in self._use.fresh_stages:
            return {}
        stored = [layer for layer in layers if not isinstance(layer, StepLayer)]
        writing = {at: step for at, step in steps.items() if not isinstance(step, RunStep)}
        if len(stored) < len(layers) or len(writing) < len(steps) or not ground or self._store.has(stored):
            return {}
        # The first stands on layers that are known; the others on its own, too, which is not made yet.
        counts = [len(layers)] + [ground] * (len(steps) - 1)
        keys = [
            _key(step, diff_ids(layers[:count])) for step, count in zip(writing.values(), counts, strict=True)
        ]
        with ThreadPoolExecutor(_LOOKUPS, "outline") as pool:
            outlines = list(pool.map(self._open, keys))
        return {
            at: StandIn(outline, count)
            for at, outline, count in zip(writing, outlines, counts, strict=True)
            if outline is not None and None not in outlines
        }

    def keep(
        self,
        step: FileStep,
        layers: tuple[ImageLayer, ...],
        ground: int,
        directories: tuple[str, ...],
        upper: str,
    ) -> None:
        """Keep the outlines of a step that ran over the layers themselves; nothing is waited for.

        Args:
            step: what ran.
            layers: that it ran over, bottom first.
            ground: how many of them are below the steps after the last RUN.
            directories: the layers, unpacked.
            upper: what the step wrote.
        """
        if not isinstance(step, RunStep):
            for count in {ground, len(layers)} - {0}:
                work = partial(self._keep, step, layers[:count], directories[:count][::-1], upper)
                self._keeping.append(self._pool.submit(work))

    def finish(self) -> None:
        """Wait until everything is kept."""
        for each in self._keeping:
            each.result()

    def _open(self, key: Key) -> Outline | None:
        found = (cache.lookup(key) for cache in self._use.caches)
        layer = next((result.layer for result in found if result is not None), None)
        if layer is None:
            return None
        directory = self._workspace.directory(self._workspace.new_name("outline"))
        try:
            return self._unpack(layer, directory)
        except (OCIError, LayerError, OSError) as error:
            self._reporter.warn(f"the outline {layer.descriptor.digest} of a cache is left out: {error}")
            return None

    def _unpack(self, layer: StoredLayer, directory: str) -> Outline:
        if layer.descriptor.size > _LARGEST:
            raise LayerError(f"it has {layer.descriptor.size} bytes")
        with self._store.open(layer) as packed:
            stream = HashedStream(DecompressedStream(packed))
            outline = Outline.unpack(stream, directory)
            while packed.read(_PIECE):
                pass  # what follows the compressed stream belongs to the blob's digest
        if stream.hasher.digest() != layer.diff_id:
            raise LayerError(f"it holds {stream.hasher.digest()}")
        return outline

    def _keep(
        self,
        step: _Writing,
        layers: tuple[ImageLayer, ...],
        lowers: tuple[str, ...],
        upper: str,
    ) -> None:
        path = os.path.join(self._workspace.path, self._workspace.new_name("outline"))
        destination = _destination(step).encode(errors="surrogateescape")
        try:
            key = _key(step, diff_ids(layers))
            members = outline_of(lowers, upper, destination, accounts=_needs_accounts(step))
            with open(path, "wb") as file:
                blob = write_blob(tar_stream(members), file.write, _FORM)
        except (UnfitForOutlineError, BuildError):
            return  # a layer that cannot be written is reported by whoever needs it
        descriptor = Descriptor(_FORM.media_type, blob.digest, blob.size)
        layer = WrittenLayer(descriptor, blob.diff_id, path)
        for cache in self._use.caches:
            cache.store((key,), CachedStep(layer, datetime.now(UTC)))


def _key(step: _Writing, below: tuple[DiffID, ...]) -> Key:
    return outline_key(below, _destination(step), accounts=_needs_accounts(step))


def _destination(step: _Writing) -> str:
    return step.path if isinstance(step, WorkdirStep) else step.destination


def _needs_accounts(step: _Writing) -> bool:
    return isinstance(step, WorkdirStep) or (step.chown is not None and step.chown.needs_names)
