"""What a layer takes away from its lower layers, while it is being unpacked.

In a directory that only one layer has, overlay does not look for whiteouts and lists them, as names of
nothing. So those are dropped that have nothing to take away.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.stack.layer_stack import OPAQUE_XATTR
from strake_builder.rootfs.stack.whiteout import is_whiteout, make_whiteout

_NOTHING = b""


class Whiteouts:
    """Whiteouts and opaque directories of one layer.

    Args:
        root: of the layer.
        scratch: a directory on disk, for what is noted.
    """

    def __init__(self, root: Root, scratch: str) -> None:
        self._root = root
        self._opaque = DiskMap(scratch)
        self._holding = DiskMap(scratch)

    def close(self) -> None:
        """Forget what was noted."""
        self._opaque.close()
        self._holding.close()

    @property
    def directories(self) -> Iterator[bytes]:
        """Paths of the directories that whiteouts were made in, but for the root, which all layers have."""
        return filter(None, self._holding)

    def add(self, directory: int, name: bytes, parent: bytes) -> None:
        """Take a name of an open directory away, which has nothing of that name."""
        make_whiteout(name, directory)
        self._holding.setdefault(parent, _NOTHING)

    def hide(self, directory: int, path: bytes) -> None:
        """Let an open directory hide what the lower layers have in it."""
        os.setxattr(f"/proc/self/fd/{directory}", OPAQUE_XATTR, b"y")
        self._opaque.setdefault(path, _NOTHING)

    def is_hidden(self, path: bytes) -> bool:
        """Say whether the lower layers' file at a path is hidden by a directory of this one."""
        while path and self._opaque:
            path = path.rpartition(b"/")[0]
            if self._opaque.get(path) is not None:
                return True
        return False

    def drop_useless(self, is_in_lower_layers: Callable[[bytes], bool]) -> None:
        """Remove the whiteouts in directories that hide the lower layers' own, or that those do not have."""
        for path in self._holding:
            if self.is_hidden(path + b"/") or not is_in_lower_layers(path):
                with contextlib.suppress(PathError), self._root.at(path, follow=False) as location:
                    if location.is_directory and location.path == path:
                        _remove_whiteouts(location.proc_path)


def _remove_whiteouts(directory: bytes) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            if is_whiteout(entry.stat(follow_symlinks=False)):
                os.unlink(entry.path)
