"""How layers are written: their compression, its level, and what becomes of times.

Two builders that write the same tree in the same format give the same blob. Whatever keeps blobs for later
must know the format that they were written in.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.mediatype import Compression

GZIP_LEVEL: Final = 1
ZSTD_LEVEL: Final = 3

LEVELS: Final[Mapping[Compression, range]] = MappingProxyType(
    {Compression.GZIP: range(10), Compression.ZSTD: range(1, 23), Compression.NONE: range(0)}
)
"""The levels of each format. gzip's 0 to 3 are ISA-L's, 4 to 9 are zlib's (see `compression`)."""


@dataclass(frozen=True, slots=True)
class LayerFormat:
    """The form of the layers that a build writes.

    Attributes:
        compression: of the blobs.
        level: one of `LEVELS`; None is the default, which favours speed.
        epoch: seconds since 1970. Modification times in layers are this at most; None leaves them.
        docker: media types are Docker's instead of OCI's.
        left_out: paths that are in no layer, nor is anything under them; without a slash before them.
    """

    compression: Compression = Compression.GZIP
    level: int | None = None
    epoch: int | None = None
    docker: bool = False
    left_out: frozenset[bytes] = frozenset()

    @property
    def media_type(self) -> str:
        """The media type of a layer in this format."""
        return mediatype.layer_type(self.compression, docker=self.docker)

    def clamp(self, mtime: int) -> int:
        """Return the modification time that a layer says for a file's own, both in seconds.

        Source: reproducible-builds.org, SOURCE_DATE_EPOCH specification, "Timestamp clamping".
        """
        return mtime if self.epoch is None else min(mtime, self.epoch)
