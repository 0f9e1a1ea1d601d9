"""Lets the last steps of a stage run without their lower layers, where none of them is a RUN.

Where a RUN follows, the layers are needed anyhow. Where none does, the most frequent change of all, another
source under the same dependencies, costs a small document of the cache for each step in place of a download
of all its lower layers. The documents are written when a step ran over the real layers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol, TypeAlias

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key, outline_key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.errors import BuildError
from strake_builder.frontend.model.steps import AddStep, CopyStep, RunStep, WorkdirStep
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.layers.pipeline import write_blob
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.copying.deferred import DeferredFile
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.outline import Lowers, Outline, UnfitForOutlineError, outline_of
from strake_builder.rootfs.stack.layer_stack import LayerStack
from strake_builder.solve.caching.lookup import CacheUse
from strake_builder.solve.caching.results import diff_ids
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import DiffID

_Writing: TypeAlias = CopyStep | AddStep | WorkdirStep

_LOOKUPS: Final = 8
_LARGEST: Final = 64 * 1024
"""Bytes of an outline, gzipped: it is part of a manifest."""


class StepLowers(Protocol):
    """The lower layers of a step, from which outlines are made."""

    def lowest(self, count: int, upper: str, destination: bytes, /) -> Lowers:
        """Return the lowest layers.

        Args:
            count: how many.
            upper: what the step wrote.
            destination: where it writes.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnpackedLowers:
    """The lower layers of a step, unpacked.

    Attributes:
        directories: of the layers, bottom first; the lowest may be a volume, which stands for several layers.
        layers: how many there are.
    """

    directories: tuple[str, ...]
    layers: int

    def lowest(self, count: int, *_: object) -> Lowers:
        """Return the lowest layers. A volume's are never above what is counted."""
        return LayerStack(self.directories[: len(self.directories) - self.layers + count][::-1])


class LayersOutline(Protocol):
    """What a COPY must know of layers, in a few directories."""

    @property
    def directories(self) -> tuple[str, ...]:
        """What a step is executed over, bottom first."""
        ...

    def suffices(self, upper: str, deferred: Iterable[DeferredFile], /) -> bool:
        """Say whether a step over it made the layer that it makes over the real layers.

        Args:
            upper: what the step wrote.
            deferred: files of the step that it did not write.
        """
        ...

    def lowers(self, above: Sequence[str]) -> StepLowers | None:
        """Return what outlines for the cache are made of; None where it is one of the cache's.

        Args:
            above: directories of the layers on it, bottom first.
        """
        ...


@dataclass(frozen=True, slots=True)
class StandIn:
    """An outline in place of a step's lowest layers.

    Attributes:
        outline: returns the outline, None where there turns out to be none; raises what the layers raise.
        layers: how many layers it stands for.
    """

    outline: Callable[[], LayersOutline | None]
    layers: int


ReadOutline: TypeAlias = Callable[
    [int, tuple[ImageLayer, ...], int, Mapping[int, FileStep]], dict[int, StandIn]
]
"""As `Outlines.of_stage`."""


class CachedOutlines:
    """`Outlines` where there is a cache. Thread-safe.

    Args:
        workspace: where they are made and unpacked.
        store: opens layers, and knows which are on disk already.
        use: the caches.
        pool: where outlines are made, while the build goes on.
        reporter: hears of what cannot be used.
        read: returns outlines for what the caches have none for; None where layers are better unpacked.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: LayerStore,
        use: CacheUse,
        pool: Executor,
        reporter: Reporter,
        read: ReadOutline | None,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._use = use
        self._pool = pool
        self._reporter = reporter
        self._read = read
        self._keeping: list[Future[None]] = []

    def of_stage(
        self, stage: int, layers: tuple[ImageLayer, ...], ground: int, steps: Mapping[int, FileStep]
    ) -> dict[int, StandIn]:
        """Return outlines for the last steps of a stage; see `Outlines`."""
        found = self._cached(stage, layers, ground, steps)
        if found or self._read is None:
            return found
        return self._read(stage, layers, ground, steps)

    def _cached(
        self, stage: int, layers: tuple[ImageLayer, ...], ground: int, steps: Mapping[int, FileStep]
    ) -> dict[int, StandIn]:
        if not self._use.reads_for(stage):
            return {}
        stored = [layer for layer in layers if not isinstance(layer, StepLayer)]
        writing = {at: step for at, step in steps.items() if not isinstance(step, RunStep)}
        if len(stored) < len(layers) or len(writing) < len(steps) or not ground or self._store.has(stored):
            return {}
        # The first is over layers that are known; the others over its own, too, which is not made yet.
        counts = [len(layers)] + [ground] * (len(steps) - 1)
        keys = [
            _key(step, diff_ids(layers[:count])) for step, count in zip(writing.values(), counts, strict=True)
        ]
        with ThreadPoolExecutor(_LOOKUPS, "outline") as pool:
            outlines = list(pool.map(self._open, keys))
        return {
            at: StandIn(partial(_known, outline), count)
            for at, outline, count in zip(writing, outlines, counts, strict=True)
            if outline is not None and None not in outlines
        }

    def keep(
        self,
        step: FileStep,
        layers: tuple[ImageLayer, ...],
        ground: int,
        lowers: StepLowers,
        snapshot: Snapshot,
    ) -> None:
        """Keep the outlines of a step; see `Outlines`."""
        if not isinstance(step, RunStep):
            for count in {ground, len(layers)} - {0}:
                work = partial(self._keep, step, layers[:count], lowers, snapshot)
                self._keeping.append(self._pool.submit(work))

    def finish(self) -> None:
        """Wait until everything is kept."""
        for each in self._keeping:
            each.result()

    def _open(self, key: Key) -> Outline | None:
        found = (cache.lookup(key) for cache in self._use.caches)
        packed = next((result.outline for result in found if result and result.outline), None)
        if packed is None:
            return None
        directory = self._workspace.directory(self._workspace.new_name("outline"))
        try:
            return Outline.unpack(DecompressedStream(io.BytesIO(packed)), directory)
        except (LayerError, OSError) as error:
            self._reporter.warn(f"an outline in a cache is left out: {error}")
            return None

    def _keep(
        self, step: _Writing, layers: tuple[ImageLayer, ...], lowers: StepLowers, snapshot: Snapshot
    ) -> None:
        destination = _destination(step).encode(errors="surrogateescape")
        packed = bytearray()
        try:
            key = _key(step, diff_ids(layers))
            known = lowers.lowest(len(layers), snapshot.upper, destination)
            members = outline_of(
                known,
                snapshot.upper,
                destination,
                accounts=needs_accounts(step),
                deferred=snapshot.deferred,
            )
            write_blob(tar_stream(members), packed.extend)
        except (UnfitForOutlineError, BuildError):
            return  # a layer that cannot be written is reported by its reader
        if len(packed) <= _LARGEST:
            self._use.store((key,), CachedStep(None, datetime.now(UTC), bytes(packed)))


def _known(outline: Outline) -> LayersOutline:
    return outline


def _key(step: _Writing, lowers: tuple[DiffID, ...]) -> Key:
    return outline_key(lowers, _destination(step), accounts=needs_accounts(step))


def _destination(step: _Writing) -> str:
    return step.path if isinstance(step, WorkdirStep) else step.destination


def needs_accounts(step: FileStep) -> bool:
    """Say whether a step may look up users and groups."""
    if isinstance(step, CopyStep | AddStep):
        return step.chown is not None and step.chown.needs_names
    return True
