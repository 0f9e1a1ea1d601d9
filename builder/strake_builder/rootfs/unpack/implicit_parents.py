"""What a layer leaves to its lower layers, without saying so in members of its own.

A layer's archive may name `usr/lib/x` without a member for `usr/lib`: the directory is the lower layers',
with its owner and mode, and where that is a link (`lib` → `usr/lib`) the file belongs behind the link. A hard
link may name a file that only a lower layer has. Image tools unpack one layer over the other and see
both as a matter of course; here a layer is unpacked alone, while the others are still on their way. So what
it leaves open is noted (`Gaps`), and the few layers in which it makes a difference are unpacked once more
when the lower ones are at hand (`CopyUp`).
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from strake_builder.rootfs.errors import ParentNotDirectoryError
from strake_builder.rootfs.files.clone import clone_apart, clone_directory_metadata
from strake_builder.rootfs.files.directory_times import DirectoryTimes
from strake_builder.rootfs.files.inside import ResolvedPath, Root
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack
from strake_builder.rootfs.stack.lower_layers import read_xattrs
from strake_oci.lazy_dataclass import dataclass

_PIECE: Final = 64 << 10
_SEPARATOR: Final = b"\0"
_LINKS: Final = b"links"
_DIRECTORIES: Final = b"directories"


@dataclass(frozen=True, slots=True)
class ImplicitParents:
    """What a layer leaves to lower layers, noted in a file.

    Attributes:
        path: of the file.
        links: the layer has hard links to files that it has not, which are left out.
    """

    path: str
    links: bool

    def directories(self) -> Iterator[bytes]:
        """Yield the directories that it has members in and no member for; made with mode 0755."""
        return itertools.islice(_read(self.path), 1, None)

    def matter(self, lowers: Sequence[str]) -> bool:
        """Say whether the layer looks otherwise over these layers (topmost first) than it does alone."""
        if self.links:
            return True
        stack = LayerStack(lowers)
        return any(not _is_plain_directory(stack, path) for path in self.directories())


def write_implicit_parents(path: str, directories: DiskMap, *, links: bool) -> None:
    """Note what a layer leaves to lower layers, if that is anything: else there is no file."""
    if directories or links:
        with open(path, "wb") as file:
            file.write(_LINKS if links else _DIRECTORIES)
            file.writelines(_SEPARATOR + directory for directory in directories)


def read_implicit_parents(path: str) -> ImplicitParents | None:
    """Return what was noted in a file; None where there is none."""
    try:
        return ImplicitParents(path, next(_read(path)) == _LINKS)
    except FileNotFoundError:
        return None


def _read(path: str) -> Iterator[bytes]:
    rest = b""
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            *whole, rest = (rest + piece).split(_SEPARATOR)
            yield from whole
    yield rest


class CopyUp:
    """Makes in a layer what it takes for granted, as the lower layers have it.

    Args:
        root: of the layer.
        lowers: directories of the lower layers, topmost first.
        times: gets those of the directories made.
    """

    def __init__(self, root: Root, lowers: Sequence[str], times: DirectoryTimes) -> None:
        self._stack = LayerStack(lowers)
        self._hidden = DiskMap(root.beside)
        self._times = times

    def close(self) -> None:
        """Forget what was noted."""
        self._hidden.close()

    def hide(self, path: bytes) -> None:
        """Note that the layer hides what lower layers have in a directory."""
        self._hidden.setdefault(path, b"")

    def directory(self, parent: int, name: bytes, path: bytes) -> bool:
        """Make the directory or link that the lower layers have at a path; return whether there is one.

        Raises:
            ParentNotDirectoryError: something else is there.
        """
        found = None if self._is_hidden(path) else self._stack.find(path)
        if found is None:
            return False
        if stat.S_ISLNK(found.stat.st_mode):
            _copy(found, parent, name)
            return True
        if not stat.S_ISDIR(found.stat.st_mode):
            raise ParentNotDirectoryError(
                f"/{path[:200].decode(errors='replace')} is a file in a lower layer"
            )
        os.mkdir(name, 0o700, dir_fd=parent)
        source = os.open(found.where, OPEN_DIRECTORY)
        try:
            target = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
            try:
                clone_directory_metadata(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)
        self._times.note(path, found.stat.st_mtime_ns)
        return True

    def file(self, location: ResolvedPath) -> bool:
        """Make a lower layer's file where this one has nothing; return whether there is one."""
        found = None if self._is_hidden(location.path) else self._stack.find(location.path)
        if found is None or stat.S_ISDIR(found.stat.st_mode):
            return False
        _copy(found, location.directory, location.name)
        return True

    def _is_hidden(self, path: bytes) -> bool:
        while path and self._hidden:
            path = path.rpartition(b"/")[0]
            if self._hidden.get(path) is not None:
                return True
        return False


def _copy(found: Found, directory: int, name: bytes) -> None:
    """Make a file of a lower layer, apart from its other names, of which the layer may have replaced some."""
    source = os.open(os.path.dirname(found.where), OPEN_DIRECTORY)
    try:
        clone_apart(source, name, found.stat, directory)
    finally:
        os.close(source)


def _is_plain_directory(stack: LayerStack, path: bytes) -> bool:
    """Say whether lower layers have a directory as one is made of which nothing is known, or have none."""
    found = stack.find(path)
    if found is None:
        return True
    plain = (stat.S_IFDIR | 0o755, 0, 0)
    return (found.stat.st_mode, found.stat.st_uid, found.stat.st_gid) == plain and not read_xattrs(
        found.where
    )
