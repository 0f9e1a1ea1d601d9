"""A member of a layer with its content, as walks yield it and the writer of layers takes it.

The content is an open file, not a path: a walk has the file's directory open, and to look up a path of five
components again for each call costs more than what the calls do.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from strake_builder.errors import StepError
from strake_builder.layers.entry import Entry
from strake_builder.unforeseen import from_os_error

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SHOWN: Final = 300

NO_CONTENT: Final = -1

Change = tuple[Entry, int]
"""A member of a layer, and a descriptor of its content until the next one is asked for, else `NO_CONTENT`.

Where reading begins is given with each read: the descriptor's own position means nothing.
"""


def shown(path: bytes) -> str:
    """Return the path of a member as a user is told of it."""
    return "/" + path[:_SHOWN].decode(errors="replace")


def open_content(member: bytes, path: bytes, directory: int | None = None) -> tuple[int, os.stat_result]:
    """Return a descriptor of a regular file, and what it is.

    Args:
        member: its path in the layer.
        path: where it is; a link as its last component is not followed.
        directory: an open directory that the path begins in.

    Raises:
        StepError: it cannot be opened, or is no regular file.
    """
    try:
        fd = os.open(path, _READ, dir_fd=directory)
        found = os.fstat(fd)
    except OSError as error:
        refused = OSError(error.errno, error.strerror)  # the path is one of ours
        raise from_os_error(refused, f"cannot read {shown(member)}", StepError) from error
    if stat.S_ISREG(found.st_mode):
        return fd, found
    os.close(fd)
    raise StepError(f"cannot read {shown(member)}: it is no regular file any more")


class HeldContent:
    """Keeps one file open at a time. Close it."""

    def __init__(self) -> None:
        self._fd = NO_CONTENT

    def hold(self, fd: int) -> int:
        """Take over a descriptor, and close the one before it."""
        self.close()
        self._fd = fd
        return fd

    def close(self) -> None:
        """Close what is open."""
        if self._fd != NO_CONTENT:
            os.close(self._fd)
            self._fd = NO_CONTENT
