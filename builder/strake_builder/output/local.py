"""Writes an image to files: an OCI image layout, or an archive that `docker load` reads."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from strake_builder.errors import OutputError
from strake_builder.layers.tar_reader import ByteSource
from strake_oci.archive import ArchiveWriter
from strake_oci.descriptor import Descriptor
from strake_oci.errors import OCIError
from strake_oci.images import ImageWriter
from strake_oci.layout import Layout
from strake_oci.reference import Reference

Open = Callable[[], AbstractContextManager[ByteSource]]


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image to be written.

    Attributes:
        blobs: config and layers, each with what opens its content.
        manifest: its manifest, as bytes.
        media_type: of the manifest.
    """

    blobs: tuple[tuple[Descriptor, Open], ...]
    manifest: bytes
    media_type: str


def write_layout(image: LocalImage, directory: str, names: tuple[Reference, ...]) -> None:
    """Add an image to an OCI image layout, which is made where there is none.

    Args:
        image: the image.
        directory: the layout.
        names: each becomes a name of the image in `index.json`: its tag.

    Raises:
        OutputError: the layout cannot be written.
    """
    with _explained(directory):
        layout = Layout(directory, create=True)
        tags = dict.fromkeys(name.tag or "latest" for name in names) or {"latest": None}
        _write(image, layout, tuple(tags))


def write_archive(image: LocalImage, path: str, names: tuple[Reference, ...]) -> None:
    """Write an image to an archive for `docker load`; it appears when it is whole.

    Args:
        image: the image.
        path: the file.
        names: what the image is called when it is loaded.

    Raises:
        OutputError: the file cannot be written.
    """
    scratch = f"{path}.partial"
    try:
        with _explained(path):
            with open(scratch, "wb") as file, ArchiveWriter(file, docker=True) as archive:
                _write(image, archive, tuple(str(name) for name in names))
            os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _write(image: LocalImage, writer: ImageWriter, names: tuple[str, ...]) -> None:
    for descriptor, open_source in image.blobs:
        writer.push_blob(descriptor, open_source)
    for name in names:
        writer.push_manifest(image.manifest, image.media_type, name)


def from_bytes(data: bytes) -> Open:
    """Return what opens bytes that are at hand."""
    return lambda: io.BytesIO(data)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except OCIError as error:
        raise OutputError(f"cannot write the image to {place}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise OutputError(f"cannot write the image to {place}: {error.strerror}") from error
