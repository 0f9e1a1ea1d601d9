"""The parts of a run of several platforms: the Jobs that it takes, and what each needs of those before it.

    source ──▶ linux/amd64 ──▶ index
          └──▶ linux/arm64 ──┘

A run of one platform has no parts. What a part needs is a value that the status tells, so that a restarted
operator starts the same Job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from strake_api.result import ResolvedSource

SOURCE: Final = "source"
INDEX: Final = "index"


@dataclass(frozen=True, slots=True)
class PlatformDigest:
    """What the Job of a platform pushed."""

    platform: str
    digest: str
    attestation: str | None = None
    """Digest of the manifest with its provenance."""


@dataclass(frozen=True, slots=True)
class SourcePart:
    """Resolves the sources, so that all platforms build the same files."""

    name: str = SOURCE


@dataclass(frozen=True, slots=True)
class PlatformPart:
    """Builds the image of one platform and pushes it by digest.

    Attributes:
        name: The platform, as the spec has it: linux/arm64.
        sources: What the sources are to resolve to; none where the spec says so itself.
    """

    name: str
    sources: tuple[ResolvedSource, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexPart:
    """Joins the images to an index, and moves the tags.

    Attributes:
        images: In the order of the spec.
        revision: The commit that they were built from, for tags that tell it.
    """

    images: tuple[PlatformDigest, ...]
    revision: str | None = None
    name: str = INDEX


Part = SourcePart | PlatformPart | IndexPart


def part_label(part: str) -> str:
    """Return the name of a part as labels and names of Jobs have it: linux-arm64, linux-arm64-v81.

    Without the dot of a variant its digits are together, since a number of its own is that of an attempt.
    """
    return part.replace(".", "").replace("/", "-")


def label_of(part: Part | None) -> str | None:
    """Return the label of a part; None for a run that has none."""
    return None if part is None else part_label(part.name)
