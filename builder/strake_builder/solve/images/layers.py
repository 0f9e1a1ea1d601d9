"""The layers of an image under construction: pulled or cached as a blob, or made by a step of this build."""

from __future__ import annotations

from concurrent.futures import Future

from strake_builder.layers.blobs import PulledLayer, WrittenLayer
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StepLayer:
    """What a step changed.

    Attributes:
        directory: overlay's upper directory; it is read, never written to, from now on.
        blob: its blob, when it is written; None where nothing changed. A stage whose layers are in
            no image and no cache has no blobs, and this is None itself.
    """

    directory: str
    blob: Future[WrittenLayer | None] | None


ImageLayer = PulledLayer | WrittenLayer | StepLayer

__all__ = ["ImageLayer", "PulledLayer", "StepLayer", "WrittenLayer"]
