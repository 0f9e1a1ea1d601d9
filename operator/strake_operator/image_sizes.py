"""Sizes that a builder told: numbers of a result, which a step may have written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.status import ImageSizes

if TYPE_CHECKING:
    from strake_api.result import Sizes

MOST_BYTES: Final = 10 * 2**40
"""What a build may have pushed or pulled: it has a node's disk for it, and some hours."""


def plausible(told: Sizes) -> ImageSizes | None:
    """Return the sizes of a result; None for what no build can have moved."""
    if max(told.compressed, told.pushed, told.pulled) > MOST_BYTES:
        return None
    return ImageSizes(compressed=told.compressed, pushed=told.pushed, pulled=told.pulled)
