"""Images in a tar file: an OCI image layout, which is a Docker archive too if that is wanted.

`ArchiveWriter` streams: blobs go into the tar as they come, the documents that list them at its end, so the
target may be a pipe. With `docker=True` it adds the `manifest.json` that `docker load` of every version
reads; `docker save` writes the same mixture since Docker 25. `archive_reader` reads.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from strake_oci.errors import LayoutError, MirrorError
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.wire import encode
from strake_oci.stores import layout_index
from strake_oci.stores.file_upload import FileUpload
from strake_oci.stores.image_writer import StoreWriter
from strake_oci.stores.layout_index import MARKER, VERSION, blob_path
from strake_oci.verify import CountedOnce, copy_checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from strake_oci.images import Readable
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

_BLOCK: Final = 512


class ArchiveWriter(StoreWriter):
    """Writes images into a tar, which is complete when the context is left. Thread-safe; an `ImageWriter`.

    Args:
        target: A binary file or pipe; not closed here.
        docker: Make it loadable with `docker load` too. Then only images can be named, not indexes.
        spool: Where blobs of unknown length wait; the system's directory for temporary files by default.

    Example:
        >>> with open("app.tar", "wb") as file, ArchiveWriter(file, docker=True) as archive:
        ...     copy_image(source, "v1", archive, "example.com/app:v1")
    """

    def __init__(self, target: BinaryIO, *, docker: bool = False, spool: Path | None = None) -> None:
        self._target = target
        self._is_rewindable = _is_rewindable(target)
        self._docker = docker
        self._spool = spool
        self._written: set[Digest] = set()
        self._folders: set[str] = set()
        self._index = Index(())
        self._images: dict[str, Manifest] = {}
        self._spoiled_by: BaseException | None = None
        self._lock = threading.Lock()

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob was written."""
        with self._lock:
            return digest in self._written

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Write a blob unless it was; return whether bytes were written.

        Raises:
            LayoutError: The file cannot be written.
            DigestMismatchError, SizeExceededError, SizeMismatchError: The source is not what it should be.
                What was written of it is taken back, and what a mirror falsified is had from elsewhere. From
                a pipe nothing can be taken back: the archive is then spoiled, and every further blob is
                refused with the same error.
        """
        counted = CountedOnce(on_bytes)
        with self._lock:
            if descriptor.digest in self._written:
                return False
            if self._spoiled_by is not None:
                raise self._spoiled_by  # what broke off stands in the archive: it is why nothing more goes in
            while descriptor.digest not in self._written:
                try:
                    self._add(descriptor, open_source, counted.from_start())
                except MirrorError:
                    if self._spoiled_by is not None:
                        raise
        return True

    def _add(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None],
    ) -> None:
        """Write a blob, or nothing of it."""
        with open_source() as source:
            start, folders = self._position(), set(self._folders)
            try:
                self._begin(blob_path(descriptor.digest), descriptor.size)
                copy_checked(source, self._write, descriptor, on_bytes)
                self._pad(descriptor.size)
            except BaseException as error:
                if start is None or not self._rewound(start):
                    self._spoiled_by = error
                else:
                    self._folders = folders
                raise
        self._written.add(descriptor.digest)

    def _position(self) -> int | None:
        """Return where the target is, or None if it cannot be set back to it."""
        try:
            return self._target.tell() if self._is_rewindable else None
        except OSError:
            return None

    def _rewound(self, position: int) -> bool:
        try:
            self._target.seek(position)
            self._target.truncate()
        except OSError:
            return False
        return True

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> FileUpload:
        """Begin to write a blob whose digest is not known yet; it waits in a file until it is."""
        file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._spool, prefix="strake-", buffering=0))  # noqa: SIM115 - the upload closes it
        title = "a layer cannot be kept for the archive"
        return FileUpload(file, self._push_file, title, on_bytes=on_bytes)

    def _push_file(self, file: BinaryIO, descriptor: Descriptor) -> None:
        self.push_blob(descriptor, lambda: file)

    def _list(self, descriptor: Descriptor, data: bytes, tag: str) -> None:
        """List a manifest under a tag or full reference.

        Raises:
            LayoutError: It is an index, in an archive for `docker load`.
        """
        document = parse(data, descriptor.media_type)
        with self._lock:
            self._index = layout_index.named(self._index, descriptor, tag)
            if isinstance(document, Manifest):
                self._images[tag] = document
            elif self._docker:
                raise LayoutError(
                    "a Docker archive holds images for one platform, not an index", hint="name a platform"
                )

    def close(self) -> None:
        """Write what lists the blobs, and the end of the tar.

        Raises:
            LayoutError: The file cannot be written.
        """
        with self._lock:
            self._file("index.json", self._index.serialize())
            self._file(MARKER, encode({"imageLayoutVersion": VERSION}))
            if self._docker:
                entries = [_docker_entry(name, image) for name, image in self._images.items()]
                self._file("manifest.json", encode(entries))
            self._write(bytes(2 * _BLOCK))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _file(self, name: str, data: bytes) -> None:
        self._begin(name, len(data))
        self._write(data)
        self._pad(len(data))

    def _begin(self, name: str, size: int) -> None:
        # Some readers want to see a folder before what is in it.
        parents = [str(parent) for parent in reversed(Path(name).parents) if str(parent) != "."]
        for folder in parents:
            if folder not in self._folders:
                self._folders.add(folder)
                self._write(_header(f"{folder}/", 0, tarfile.DIRTYPE, 0o755))
        self._write(_header(name, size, tarfile.REGTYPE, 0o644))

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % _BLOCK))

    def _write(self, data: bytes) -> None:
        try:
            self._target.write(data)
        except OSError as error:
            raise LayoutError(f"the archive cannot be written: {error.strerror or error}") from error


def _is_rewindable(target: BinaryIO) -> bool:
    """Say whether what was written can be taken back. What is appended to has another's bytes before ours."""
    if not target.seekable():
        return False
    try:
        descriptor = target.fileno()
    except OSError:  # it is in memory
        return True
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    return is_file and not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND


def _header(name: str, size: int, kind: bytes, mode: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.mode = size, kind, mode
    return entry.tobuf(tarfile.PAX_FORMAT)


def _docker_entry(name: str, image: Manifest) -> dict[str, object]:
    if image.config.media_type not in mediatype.CONFIGS:
        raise LayoutError("a Docker archive holds images, not artifacts")
    reference = layout_index.full_reference(name)
    tags = [f"{reference.repository.familiar}:{reference.tag}"] if reference and reference.tag else []
    return {
        "Config": blob_path(image.config.digest),
        "RepoTags": tags,
        "Layers": [blob_path(layer.digest) for layer in image.layers],
    }
