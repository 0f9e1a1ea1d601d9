"""Removes what was read for the last time while the rest is read, so that a workspace is gone sooner.

To remove a file costs the kernel nearly what it costs to make one, and after a build all of them go. The
layer of an image's last step is read once, by one thread: a program removes beside it what was read, and of
the layers under it what is not read.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable
from typing import Final

from strake_builder.rootfs.files.remove import start_removal

_MANY: Final = 2000
"""Entries for which a program is started; fewer are left to the removal of the workspace."""
_PATHS: Final = 200
_PATH_BYTES: Final = 2000
"""Longest path that is given to the program, of which `_PATHS` are well within what an exec takes."""


class Discarded:
    """Directories that nobody reads any more. For one thread at a time."""

    def __init__(self) -> None:
        self._paths: list[bytes] = []
        self._entries = 0
        self._rm: subprocess.Popen[bytes] | None = None

    def add(self, directory: bytes, entries: int) -> None:
        """Have a directory removed, soon or with the workspace.

        Args:
            directory: its absolute path, on which nothing can be replaced by others.
            entries: how many were in it.
        """
        if len(directory) > _PATH_BYTES:
            return
        if len(self._paths) < _PATHS:  # else the program is behind; the directory around it may come yet
            self._paths.append(directory)
            self._entries += entries
        is_enough = self._entries >= _MANY or len(self._paths) == _PATHS
        if is_enough and (self._rm is None or self._rm.poll() is not None):
            self._rm = start_removal(self._paths)
            self._paths, self._entries = [], 0

    def add_lowers(self, paths: Iterable[bytes]) -> None:
        """Have what is at paths removed, however much that is; once, and before anything else."""
        wanted = [path for path in itertools.islice(paths, _PATHS) if len(path) <= _PATH_BYTES]
        if wanted:
            self._rm = start_removal(wanted)

    def close(self) -> None:
        """End what runs: what is left goes with the workspace."""
        if self._rm is not None:
            self._rm.kill()
            self._rm.wait()
