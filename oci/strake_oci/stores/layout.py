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
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from strake_oci.errors import DigestMismatchError, LayoutError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest, Hasher
from strake_oci.spec.manifest import Index, parse
from strake_oci.spec.wire import MAX_MANIFEST, WireModel, decode, encode
from strake_oci.stores import layout_index
from strake_oci.stores.layout_index import MARKER, VERSION
from strake_oci.verify import CountedOnce, VerifyingReader, copy_checked, despite_mirrors, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from strake_oci.images import Readable
    from strake_oci.spec.digest import BytesLike

_OCTETS: Final = "application/octet-stream"


class _MarkerModel(WireModel):
    imageLayoutVersion: str  # noqa: N815 the name on the wire


class Layout:
    """An image layout. Thread-safe; an `ImageReader` and `ImageWriter`.

    Args:
        path: The directory.
        create: Make it, if it is not there or empty.

    Raises:
        LayoutError: It is no layout, or one of another version.
    """

    def __init__(self, path: Path | str, *, create: bool = False) -> None:
        self.path = Path(path)
        with _explained(self.path):
            if create and not (self.path / MARKER).exists():
                self._make()
            marker = decode(_MarkerModel, self._read(MARKER, 4096), what="oci-layout")
        if marker.imageLayoutVersion != VERSION:
            raise LayoutError(
                f"image layout {self.path} has version {marker.imageLayoutVersion[:40]!r}, not {VERSION}"
            )

    # Reading

    def resolve(self, name: str = "") -> Descriptor:
        """Return what a tag, reference or digest names; without a name, the only image there is.

        Raises:
            LayoutError: There is none, or several and no name.
        """
        found = layout_index.find(self.index(), name, f"image layout {self.path}")
        if isinstance(found, Descriptor):
            return found
        with _explained(self.path):
            data = self._read(_blob_path(found), MAX_MANIFEST)
        return Descriptor(parse(data).media_type, found, len(data))

    def index(self) -> Index:
        """Return `index.json`.

        Raises:
            LayoutError: It cannot be read.
            InvalidDocumentError: It is no index.
        """
        with _explained(self.path):
            document = parse(self._read("index.json", MAX_MANIFEST), mediatype.OCI_INDEX)
        if not isinstance(document, Index):
            raise LayoutError(f"image layout {self.path}: index.json is no index")
        return document

    def tags(self) -> tuple[str, ...]:
        """Return the names in `index.json`, in its order."""
        return tuple(
            dict.fromkeys(name for entry in self.index().manifests for name in layout_index.names(entry))
        )

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, checked.

        Raises:
            LayoutError: It is not there.
            DigestMismatchError, SizeMismatchError: It is not what the descriptor says.
        """
        with _explained(self.path):
            data = self._read(_blob_path(descriptor.digest), MAX_MANIFEST)
        descriptor.check(data, what=f"manifest in {self.path}")
        return data

    def open_blob(
        self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> VerifyingReader:
        """Open a blob; reading to the end proves its content.

        Raises:
            LayoutError: It is not there.
            DigestMismatchError, SizeExceededError, SizeMismatchError: While reading: it is not what it should
            be.
        """
        with _explained(self.path):
            raw = _open_regular(self.path / _blob_path(descriptor.digest))
        return VerifyingReader(raw, descriptor, f"blob {descriptor.digest} in {self.path}", on_bytes)

    # Writing

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""
        return (self.path / _blob_path(digest)).is_file()

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Write a blob unless it is there; return whether bytes were written.

        Raises:
            LayoutError: The directory cannot be written.
            DigestMismatchError, SizeExceededError, SizeMismatchError: The source is not what it should be.
        """
        if self.has_blob(descriptor.digest):
            return False
        counted = CountedOnce(on_bytes)
        despite_mirrors(lambda: self._write(descriptor, open_source, counted.from_start()))
        return True

    def _write(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None],
    ) -> None:
        with self.start_upload() as upload, open_source() as source:
            copy_checked(source, upload.write, descriptor, on_bytes)
            upload.commit(descriptor.digest)

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> LayoutUpload:
        """Begin to write a blob whose digest is not known yet."""
        return LayoutUpload(self.path, on_bytes)

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Write a manifest or index; with a tag, list it in `index.json` in the place of what had the tag.

        Raises:
            LayoutError: The directory cannot be written.
        """
        descriptor = Descriptor.of(media_type, data)
        if not self.has_blob(descriptor.digest):
            with self.start_upload() as upload:
                upload.write(data)
                upload.commit(descriptor.digest)
        if tag is not None:
            self._list(descriptor, tag)
        return descriptor

    def _list(self, descriptor: Descriptor, tag: str) -> None:
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

    def _read(self, name: str, limit: int) -> bytes:
        with _open_regular(self.path / name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise LayoutError(f"{self.path / name} is longer than {limit} bytes")
        return data


class LayoutUpload:
    """A blob that is being written into a layout; see `images.Upload`."""

    def __init__(self, root: Path, on_bytes: Callable[[int], None] | None) -> None:
        self._root = root
        self._on_bytes = on_bytes
        self._hasher = Hasher()
        with _explained(root):
            descriptor, name = tempfile.mkstemp(prefix=".upload-", dir=root / "blobs")
        self._file: BinaryIO | None = os.fdopen(descriptor, "wb", buffering=0)
        self._temporary = Path(name)

    def write(self, data: BytesLike) -> int:
        """Take the next bytes."""
        if self._file is None:
            raise LayoutError("write after the end of an upload")
        view = memoryview(data)
        with _explained(self._root):
            written = 0
            while written < view.nbytes:
                written += self._file.write(view[written:])
        self._hasher.update(view)
        if self._on_bytes:
            self._on_bytes(view.nbytes)
        return view.nbytes

    def commit(self, digest: Digest, media_type: str = _OCTETS) -> Descriptor:
        """Check the digest and make the blob available.

        Raises:
            DigestMismatchError: Something else was written.
            LayoutError: The directory cannot be written.
        """
        if self._file is None:
            raise LayoutError("commit after the end of an upload")
        if (actual := self._actual(digest)) != digest:
            self.cancel()
            raise DigestMismatchError(digest, actual, what="blob")
        target = self._root / _blob_path(digest)
        with _explained(self._root):
            os.fchmod(self._file.fileno(), 0o644)
            self._file.close()
            target.parent.mkdir(exist_ok=True)
            self._temporary.replace(target)
        self._file = None
        return Descriptor(media_type, digest, self._hasher.size)

    def _actual(self, digest: Digest) -> Digest:
        if digest.algorithm == self._hasher.algorithm:
            return self._hasher.digest()
        with self._temporary.open("rb") as file:
            return digest_of(file, digest)

    def cancel(self) -> None:
        """Throw away what was written."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


def _blob_path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded}"


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
