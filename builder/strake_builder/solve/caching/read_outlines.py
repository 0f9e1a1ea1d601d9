"""Outlines that no cache has: they are made of the layers, which are read for them and not unpacked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from strake_builder.cache.definitions import FileStep
from strake_builder.layers.blobs import StoredLayer
from strake_builder.rootfs.outlined_layers import OutlinedLayers
from strake_builder.solve.caching.outlines import StandIn, needs_accounts
from strake_builder.solve.images.base_outlines import BaseOutlines
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.planning.evaluation import EvaluatedBuild


class ReadOutlines:
    """`Outlines` that no cache has. Thread-safe.

    Args:
        build: the build.
        unpacked: the stages whose layers are unpacked for their steps, or for those who read them.
        outlines: makes outlines.
        on_disk: says whether all layers of an image are on disk already.
    """

    def __init__(
        self,
        build: EvaluatedBuild,
        unpacked: frozenset[int],
        outlines: BaseOutlines,
        on_disk: Callable[[Sequence[StoredLayer]], bool],
    ) -> None:
        self._unpacked = unpacked
        bases = [base for index in unpacked if (base := build.base_of(index)) is not None]
        self._on_disk = frozenset(layer.diff_id for base in bases for layer in base.layers)
        self._outlines = outlines
        self._is_on_disk = on_disk

    def of_stage(
        self, stage: int, layers: tuple[ImageLayer, ...], ground: int, steps: Mapping[int, FileStep]
    ) -> dict[int, StandIn]:
        """Return outlines for the steps of a stage, and begin to make them; see `Outlines`."""
        del ground
        stored = tuple(_stored(layers))
        will_be = self._on_disk.issuperset(layer.diff_id for layer in stored)
        if stage in self._unpacked or will_be or self._is_on_disk(stored):
            return {}
        self._outlines.request(stored)
        return {
            position: StandIn(partial(self._outline, stored, step), len(stored))
            for position, step in steps.items()
        }

    def keep(self, *_: object) -> None:
        """Keep nothing."""

    def finish(self) -> None:
        """Return at once."""

    def _outline(self, layers: tuple[StoredLayer, ...], step: FileStep) -> OutlinedLayers | None:
        found = self._outlines.get(layers)
        if found is not None and needs_accounts(step) and not found.has_accounts:
            return None
        return found


def _stored(layers: tuple[ImageLayer, ...]) -> list[StoredLayer]:
    """Return the layers up to the first that a step of this build made."""
    lowest = itertools.takewhile(lambda layer: not isinstance(layer, StepLayer), layers)
    return [layer for layer in lowest if not isinstance(layer, StepLayer)]
