"""Reading images that are kept in a tar file: an OCI image layout, or what `docker save` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from strake_oci.errors import LayoutError
from strake_oci.stores.docker_archive import LIST, DockerArchive
from strake_oci.stores.indexed_tar import IndexedTar
from strake_oci.stores.layout_index import MARKER
from strake_oci.stores.layout_reader import LayoutReader

if TYPE_CHECKING:
    from strake_oci.stores.indexed_tar import Part


def open_archive(path: Path | str) -> LayoutArchive | DockerArchive:
    """Open an archive of either kind; what is both counts as a layout, whose manifests are as they were made.

    Raises:
        LayoutError: It cannot be read, or is neither.
    """
    tar = IndexedTar(path)
    if MARKER not in tar and LIST in tar:
        return DockerArchive(tar)
    return LayoutArchive(tar)


class LayoutArchive(LayoutReader):
    """An image layout in an uncompressed tar. Thread-safe; an `ImageReader`.

    Args:
        tar: The file.

    Raises:
        LayoutError: It cannot be read, or is no image layout in a tar.
    """

    def __init__(self, tar: IndexedTar | Path | str) -> None:
        self._tar = tar if isinstance(tar, IndexedTar) else IndexedTar(tar)
        super().__init__(str(self._tar.path))
        if MARKER not in self._tar:
            raise LayoutError(
                f"{self._tar.path} is no OCI image layout: it holds no {MARKER}",
                hint="an archive of images has oci-layout or manifest.json",
            )

    def _open(self, name: str) -> Part:
        return self._tar.open(name)
