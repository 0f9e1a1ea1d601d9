"""What executing the steps of a build asks of its caches, with a cache and without one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.frontend.model.planned import StagePlan
from strake_builder.layers.blobs import StoredLayer
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.solve.caching.outlines import StandIn, StepLowers
from strake_builder.solve.caching.selection import Selection
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_oci.lazy_dataclass import dataclass


class StepResults(Protocol):
    """The results of a build's steps: those that a cache has, and those that it is to keep. Thread-safe."""

    @property
    def selection(self) -> Selection:
        """The steps that need not execute, as far as that is known before any does."""
        ...

    @property
    def run(self) -> int:
        """Steps that were executed so far."""
        ...

    @property
    def used(self) -> tuple[StoredLayer, ...]:
        """The layers that came from a cache."""
        ...

    def definition_key(self, stage: int, position: int, /) -> Key | None:
        """Return the definition key of a step by its position in its stage, None where it has none."""
        ...

    def by_content(
        self, stage: StagePlan, step: FileStep, lowers: tuple[ImageLayer, ...], /
    ) -> CachedStep | None:
        """Look for the result of a step whose stages are built, by the content that it is executed over.

        Waits for the diff IDs of the lower layers, unless nothing can be found anyhow.

        Raises:
            BuildError: a lower layer cannot be written.
        """
        ...

    def keep(
        self,
        stage: StagePlan,
        position: int,
        step: FileStep,
        lowers: tuple[ImageLayer, ...],
        layer: StepLayer,
        created: datetime,
        /,
    ) -> None:
        """Keep the result of a step that was executed, when its layer is written; nothing is waited for."""
        ...

    def count(self) -> None:
        """Count a step that was executed and whose result is not kept."""
        ...

    def finish(self) -> None:
        """Wait until everything is kept."""
        ...


class Outlines(Protocol):
    """What stands in for the layers under a stage's last steps (`solve.caching.outlines`). Thread-safe."""

    def of_stage(
        self, stage: int, layers: tuple[ImageLayer, ...], ground: int, steps: Mapping[int, FileStep], /
    ) -> dict[int, StandIn]:
        """Return outlines for the steps that a stage has left to run; none at all if one is missing.

        Args:
            stage: its index.
            layers: under the first of the steps, bottom first.
            ground: how many of them are under the steps after the last RUN.
            steps: by position in the stage.
        """
        ...

    def keep(
        self,
        step: FileStep,
        layers: tuple[ImageLayer, ...],
        ground: int,
        lowers: StepLowers,
        snapshot: Snapshot,
        /,
    ) -> None:
        """Keep the outlines of a step that the cache had none for; nothing is waited for.

        Args:
            step: what ran.
            layers: that it ran over, bottom first.
            ground: how many of them are under the steps after the last RUN.
            lowers: the layers, as outlines are made of them.
            snapshot: what the step wrote.
        """
        ...

    def finish(self) -> None:
        """Wait until everything is kept."""
        ...


@dataclass(frozen=True, slots=True)
class StepCaching:
    """The caches of one attempt at a build, as its steps see them.

    Attributes:
        results: of the steps.
        outlines: of their lower layers.
        keeps_layers: whether a step's layer is written though no image has it: a cache may keep it.
    """

    results: StepResults
    outlines: Outlines
    keeps_layers: bool

    def finish(self) -> None:
        """Wait until everything is kept."""
        self.results.finish()
        self.outlines.finish()
