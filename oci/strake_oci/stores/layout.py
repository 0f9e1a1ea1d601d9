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
from typing import TYPE_CHECKING, BinaryIO

from strake_oci.errors import LayoutError
from strake_oci.spec.manifest import Index
from strake_oci.spec.wire import WireModel, decode, encode
from strake_oci.stores import layout_index
from strake_oci.stores.file_upload import FileUpload
from strake_oci.stores.image_writer import StoreWriter
from strake_oci.stores.layout_index import MARKER, VERSION, blob_path
from strake_oci.stores.layout_reader import LayoutReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest


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
        with _explained(self.path), self._locked():
            index = layout_index.named(self.index(), descriptor, tag)
            _replace(self.path / "index.json", index.serialize())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / MARKER).open("rb") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        if not (self.path / "index.json").exists():
            _replace(self.path / "index.json", Index(()).serialize())
        _replace(self.path / MARKER, encode({"imageLayoutVersion": VERSION}))


def _open_regular(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LayoutError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
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
