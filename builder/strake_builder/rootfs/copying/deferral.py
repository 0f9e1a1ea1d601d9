"""Decides which files of a source are deferred, and notes them."""

from __future__ import annotations

import os
import stat
from typing import Final

from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.file_content import content_xattrs

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Deferral:
    """Defers the files of one source.

    Args:
        files: where they are noted.
        options: how they are copied.
        source: where the source is in the root that it is copied from, resolved.
        path: where it goes in the layer, resolved.
    """

    def __init__(self, files: DeferredFiles, options: CopyOptions, source: bytes, path: bytes) -> None:
        self._files = files
        self._options = options
        self._source = source
        self._path = path

    def takes(
        self,
        directory: int,
        name: bytes,
        found: os.stat_result,
        member: bytes,
        existing: os.stat_result | None,
    ) -> bool:
        """Defer a file of the source; False where it must be written.

        It must where the layer has more of it than content and plain metadata, such as another name or an
        attribute. So must what is no regular file.

        Args:
            directory: descriptor of the directory that it is in.
            name: in it.
            found: what is there.
            member: relative to the source; empty where the source is the file itself.
            existing: what was in its place.

        Raises:
            OSError: it cannot be read, or not be noted.
        """
        options, owner = self._options, self._options.owner_of(found)
        if (
            not stat.S_ISREG(found.st_mode)
            or found.st_nlink > 1
            or not self._files.can_have(owner)
            or (options.xattrs and content_xattrs(b"/proc/self/fd/%d/%s" % (directory, name)))
            or not (found.st_size or _is_empty(directory, name))
        ):
            return False
        file = DeferredFile(
            _joined(self._path, member),
            _joined(self._source, member),
            options.mode_of(found),
            *owner,
            found.st_size,
            options.mtime_of(found),
        )
        return self._files.add(file, replaces=existing is not None and stat.S_ISREG(existing.st_mode))


def _joined(path: bytes, member: bytes) -> bytes:
    return path + b"/" + member if path and member else path or member


def _is_empty(directory: int, name: bytes) -> bool:
    """Say whether a file of zero bytes has none: some file systems tell no sizes."""
    fd = os.open(name, _READ, dir_fd=directory)
    try:
        return not os.read(fd, 1)
    finally:
        os.close(fd)
