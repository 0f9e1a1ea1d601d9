"""Who hears of a build what its result has no room for."""

from __future__ import annotations

from collections.abc import Sequence

from strake_builder.attestations.facts import FoundSBOM, Material


class BuildObserver:
    """Hears nothing. A command that wants to know more inherits from it."""

    wants_sboms = False
    """Whether SBOMs are made wherever the image goes, and if it goes nowhere."""

    wants_materials = False
    """Whether it is told what images were made from."""

    def found(self, sboms: Sequence[FoundSBOM]) -> None:
        """Hear what is in the image."""

    def used(self, materials: Sequence[Material]) -> None:
        """Hear what an image was made from, for each platform; everything is at its destinations then."""
