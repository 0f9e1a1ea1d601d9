"""Writes an image, or an index, to an OCI image layout: a directory, or a tar that `docker load` may read."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import assert_never

from strake_builder.output.attached import Attached
from strake_builder.output.new_file import explained, new_file
from strake_oci.images import ImageWriter, Readable
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.reference import Reference
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.layout import Layout

Open = Callable[[], AbstractContextManager[Readable]]


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image to be written.

    Attributes:
        blobs: config and layers, each with what opens its content.
        manifest: its manifest, as bytes.
        media_type: of the manifest.
        check: raises when the writing is to stop; called again and again.
        attestation: of the image, if it lies in an index with it; others have no place in a file.
    """

    blobs: tuple[tuple[Descriptor, Open], ...]
    manifest: bytes
    media_type: str
    check: Callable[[], None]
    attestation: Attached | None = None


@dataclass(frozen=True, slots=True)
class LocalIndex:
    """Images for several platforms to be written under one name.

    Attributes:
        images: in any order.
        index: lists them, and the attestations that lie in an index, as bytes.
        media_type: of the index.
    """

    images: tuple[LocalImage, ...]
    index: bytes
    media_type: str


def write_layout(
    image: LocalImage | LocalIndex, directory: str, names: tuple[Reference, ...], *, mask: int
) -> None:
    """Add an image to an OCI image layout, which is made where there is none.

    Args:
        image: the image, or the index of several.
        directory: the layout.
        names: each becomes a name of the image in `index.json`: its tag.
        mask: permission bits that nothing made gets.

    Raises:
        OutputError: the layout cannot be written.
    """
    with explained(directory), _masked(mask):
        layout = Layout(directory, create=True)
        _write(image, layout, _tags(names))


def write_archive(
    image: LocalImage | LocalIndex, path: str, names: tuple[Reference, ...], *, docker: bool, mask: int
) -> None:
    """Write an image to an archive; it appears when it is whole.

    Args:
        image: the image, or the index of several, which `docker load` cannot read.
        path: the file, or `STANDARD_OUTPUT`.
        names: what the image is called when it is loaded.
        docker: `docker load` can read it, too; else it is an OCI image layout in a tar.
        mask: permission bits that the file does not get.

    Raises:
        OutputError: the file cannot be written.
    """
    written = tuple(str(name) for name in names) if docker else _tags(names)
    with new_file(path, mask) as file, ArchiveWriter(file, docker=docker) as archive:
        _write(image, archive, written)


def _tags(names: tuple[Reference, ...]) -> tuple[str, ...]:
    """Return what a layout calls an image: tags, and one in any case, by which it is found."""
    return tuple(dict.fromkeys(name.tag or "latest" for name in names)) or ("latest",)


@contextmanager
def _masked(mask: int) -> Iterator[None]:
    """Make what the library makes with the user's mask. No step runs any more, nor any other thread."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _write(image: LocalImage | LocalIndex, writer: ImageWriter, names: tuple[str, ...]) -> None:
    match image:
        case LocalImage():
            content, media_type = _write_image(image, writer)
        case LocalIndex(images, content, media_type):
            for each in images:
                _write_image(each, writer)
                writer.push_manifest(each.manifest, each.media_type)
        case _:
            assert_never(image)
    for name in names:
        writer.push_manifest(content, media_type, name)


def _write_image(image: LocalImage, writer: ImageWriter) -> tuple[bytes, str]:
    """Write an image but for what its names point to, and return that."""
    for descriptor, open_source in image.blobs:
        writer.push_blob(descriptor, open_source, lambda _: image.check())
    attestation = image.attestation
    if attestation is None or attestation.index is None:
        return image.manifest, image.media_type
    for descriptor, content in attestation.blobs:
        writer.push_blob(descriptor, from_bytes(content))
    writer.push_manifest(image.manifest, image.media_type)
    writer.push_manifest(attestation.manifest, attestation.descriptor.media_type)
    return attestation.index, mediatype.OCI_INDEX


def from_bytes(data: bytes) -> Open:
    """Return what opens bytes that are at hand."""
    return lambda: io.BytesIO(data)
