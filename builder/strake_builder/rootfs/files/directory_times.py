"""Gives directories their modification times when nothing in them changes any more.

Every member made in a directory changes its time, so that times are set last. Until then they are noted: in
memory while they are few, in a file without a name when they are many.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from typing import Final

from strake_builder import interrupt
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root

_NOTE: Final = struct.Struct("=qII")
"""Seconds, nanoseconds, length of the path that follows. An archive's seconds may be the last that fit."""
_SECOND: Final = 1_000_000_000
_IN_MEMORY: Final = 1 << 20


class DirectoryTimes:
    """Times of directories in one root. Of two for one directory the later note counts.

    Args:
        scratch: a directory on disk, for the file.
    """

    def __init__(self, scratch: str) -> None:
        self._notes = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=scratch)  # noqa: SIM115 - closed by close

    def note(self, path: bytes, mtime_ns: int) -> None:
        """Note the time of a directory by its resolved path.

        Raises:
            OSError: the file cannot be written.
        """
        self._notes.write(_NOTE.pack(*divmod(mtime_ns, _SECOND), len(path)) + path)

    def set(self, root: Root) -> None:
        """Set the times of those that are still directories."""
        self._notes.seek(0)
        while head := self._notes.read(_NOTE.size):
            interrupt.check()
            seconds, nanoseconds, length = _NOTE.unpack(head)
            mtime, path = seconds * _SECOND + nanoseconds, self._notes.read(length)
            # A later member may have replaced it, or a directory on the way to it: by a link, for instance.
            with contextlib.suppress(PathError), root.at(path, follow=False) as location:
                if location.is_directory and location.path == path:
                    os.utime(
                        location.name, ns=(mtime, mtime), dir_fd=location.directory, follow_symlinks=False
                    )

    def close(self) -> None:
        """Forget all."""
        self._notes.close()
