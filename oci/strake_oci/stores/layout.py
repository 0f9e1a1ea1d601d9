"""An OCI image layout in a directory (image-spec 1.1, image-layout.md).

Several processes may write to one layout: blobs are renamed into place when they are complete, and
`index.json` is replaced under a lock. A layout from elsewhere is hostile input: nothing in it is followed,
opened blocking, or believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from strake_oci.errors import LayoutError
from strake_oci.spec.manifest import Index
from strake_oci.spec.wire import MAX_MANIFEST, WireModel, decode, encode
from strake_oci.stores import layout_index
from strake_oci.stores.file_upload import FileUpload
from strake_oci.stores.image_writer import StoreWriter
from strake_oci.stores.layout_index import MARKER, VERSION, blob_path
from strake_oci.stores.layout_reader import LayoutReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

TEMPORARY: Final = ".new-"
"""Beginning of the names of files that are not in place yet."""


class _MarkerModel(WireModel):
    imageLayoutVersion: str  # noqa: N815 the name on the wire


class Layout(LayoutReader, StoreWriter):
    """An image layout. Thread-safe; an `ImageReader` and `ImageWriter`.

    Args:
        path: The directory.
        create: Make it, if it is not there or empty.

    Raises:
        LayoutError: It is no layout, or one of another version.
    """

    def __init__(self, path: Path | str, *, create: bool = False) -> None:
        self.path = Path(path)
        super().__init__(f"image layout {path}")
        with _explained(self.path):
            if create and not (self.path / MARKER).exists():
                self._make()
            marker = decode(_MarkerModel, self._read(MARKER, 4096), what="oci-layout")
        if marker.imageLayoutVersion != VERSION:
            raise LayoutError(
                f"image layout {self.path} has version {marker.imageLayoutVersion[:40]!r}, not {VERSION}"
            )

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""
        return (self.path / blob_path(digest)).is_file()

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> FileUpload:
        """Begin to write a blob whose digest is not known yet.

        Raises:
            LayoutError: The directory cannot be written.
        """
        with _explained(self.path):
            descriptor, name = tempfile.mkstemp(prefix=".upload-", dir=self.path / "blobs")
        temporary = Path(name)
        return FileUpload(
            os.fdopen(descriptor, "w+b", buffering=0),
            partial(self._keep, temporary),
            self._title,
            on_bytes=on_bytes,
            discard=partial(temporary.unlink, missing_ok=True),
        )

    def _keep(self, temporary: Path, file: BinaryIO, descriptor: Descriptor) -> None:
        target = self.path / blob_path(descriptor.digest)
        with _explained(self.path):
            os.fchmod(file.fileno(), 0o644)
            file.close()  # which may be where the disk turns out to be full
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)

    def _open(self, name: str) -> BinaryIO:
        with _explained(self.path):
            return _open_regular(self.path / name)

    def _list(self, descriptor: Descriptor, data: bytes, tag: str) -> None:
        del data  # the index tells all
        self.update(lambda index: layout_index.named(index, descriptor, tag))

    def update(self, change: Callable[[Index], Index]) -> None:
        """Replace `index.json` by what a function makes of it; no other process changes it meanwhile.

        Raises:
            LayoutError: The layout cannot be written, or its index would be too long to be read again.
            InvalidDocumentError: What is there is no index.
        """
        with _explained(self.path), _lock(self.path / MARKER):
            data = change(self.index()).serialize()
            if len(data) > MAX_MANIFEST:
                raise LayoutError(f"{self._title}: index.json would be longer than {MAX_MANIFEST} bytes")
            _replace(self.path / "index.json", data)

    def _make(self) -> None:
        (self.path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        with _lock(self.path):  # another process that makes it may have listed an image already
            if not (self.path / "index.json").exists():
                _replace(self.path / "index.json", Index(()).serialize())
            if not (self.path / MARKER).exists():
                _replace(self.path / MARKER, encode({"imageLayoutVersion": VERSION}))


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Have the lock of a file or directory, which ends with the process at the latest."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_regular(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LayoutError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)
    Path(name).replace(path)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        name = Path(error.filename).name if error.filename else ""
        detail = f"{name}: {error.strerror}" if name else str(error.strerror or error)
        hint = "is it an OCI image layout?" if name == MARKER else ""
        raise LayoutError(f"image layout {path}: {detail}", hint=hint) from error
