"""Where a finished image can go besides a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_oci.spec.reference import Reference

STANDARD_OUTPUT: Final = "-"
"""In place of a file's path."""


@dataclass(frozen=True, slots=True)
class LayoutTarget:
    """An OCI image layout in a directory; images that are there stay.

    Attributes:
        path: the directory.
        names: what the image is called there; empty means the build's destinations.
    """

    path: str
    names: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveTarget:
    """An image in a tar archive.

    Attributes:
        path: the file, or `STANDARD_OUTPUT`.
        docker: `docker load` can read it, too; else it is an OCI image layout only.
        names: what the image is called in it; empty means the build's destinations.
    """

    path: str
    docker: bool
    names: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class TreeTarget:
    """The files of the image, without the image around them, in a directory.

    Attributes:
        path: the directory; it is not there yet, or empty.
    """

    path: str


@dataclass(frozen=True, slots=True)
class TreeArchiveTarget:
    """The files of the image in a tar archive, with owners, capabilities and devices.

    Attributes:
        path: the file, or `STANDARD_OUTPUT`.
    """

    path: str


FileTarget = LayoutTarget | ArchiveTarget | TreeTarget | TreeArchiveTarget
