"""Unpacks a build context that comes as a tar archive, which is as hostile as any other."""

from __future__ import annotations

from strake_builder.errors import SourceError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.rootfs.unpack.archive import unpack_archive
from strake_oci.images import Readable


def unpack_context(archive: Readable, directory: str, limit: int = MAX_UNPACKED) -> None:
    """Unpack an archive, compressed in any way that ADD knows, into an empty directory.

    Args:
        archive: the packed bytes.
        directory: where to.
        limit: bytes that it may take on disk, see `Allowance`.

    Raises:
        SourceError: it is damaged or no archive, or a member cannot be where it should go.
        OSError: the file system refused.
    """
    with Root(directory) as root:
        try:
            unpack_archive(DecompressedStream(archive), root, owner=(0, 0), limit=limit)
        except (LayerError, PathError) as error:
            raise SourceError(f"cannot unpack the context: {error.message}", hint=error.hint) from error
