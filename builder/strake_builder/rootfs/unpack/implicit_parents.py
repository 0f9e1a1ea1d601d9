"""What a layer leaves to its lower layers, without saying so in members of its own.

A layer's archive may name `usr/lib/x` without a member for `usr/lib`: the directory is the lower layers',
with its owner and mode, and where that is a link (`lib` → `usr/lib`) the file belongs behind the link. A hard
link may name a file that only a lower layer has, and a whiteout be in a directory that none has. Image tools
unpack one layer over the other and see all that as a matter of course; here a layer is unpacked alone, while
the others are still on their way. So what it leaves open is noted (`ImplicitParents`), and the few layers in
which it makes a difference are unpacked once more when the lower ones are at hand (`CopyUp`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from strake_builder import interrupt
from strake_builder.rootfs.errors import ParentNotDirectoryError, PathError
from strake_builder.rootfs.files.clone import clone_apart, clone_directory_metadata
from strake_builder.rootfs.files.directory_times import DirectoryTimes
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack
from strake_builder.rootfs.stack.lower_layers import read_xattrs
from strake_builder.rootfs.unpack.whiteouts import Whiteouts
from strake_oci.lazy_dataclass import dataclass

_PIECE: Final = 64 << 10
_SEPARATOR: Final = b"\0"
_LINKS: Final = b"links"
_DIRECTORIES: Final = b"directories"
_END: Final = b""
"""In place of a path, after those of directories without members: what follows has whiteouts."""
_NOTHING: Final = b""


@dataclass(frozen=True, slots=True)
class ImplicitParents:
    """What a layer leaves to lower layers, noted in a file.

    Attributes:
        path: of the file.
        links: the layer has hard links to files that it has not, which are left out.
    """

    path: str
    links: bool

    @property
    def need_lower_layers(self) -> bool:
        """Whether anything of the layer cannot be known without lower layers."""
        return self.links or next(self.directories(), None) is not None

    def directories(self) -> Iterator[bytes]:
        """Yield the directories that it has members in and no member for; made with mode 0755."""
        return itertools.takewhile(bool, itertools.islice(_read(self.path), 1, None))

    def with_whiteouts(self) -> Iterator[bytes]:
        """Yield the directories that it has whiteouts in, which are of use if lower layers have them, too."""
        return itertools.islice(itertools.dropwhile(bool, _read(self.path)), 1, None)

    def matter(self, lowers: Sequence[str]) -> bool:
        """Say whether the layer looks otherwise over these layers (topmost first) than it does alone."""
        if self.links:
            return True
        stack = LayerStack(lowers)
        return any(not _is_plain_directory(stack, path) for path in self.directories()) or any(
            not has_directory(stack, path) for path in self.with_whiteouts()
        )


def write_implicit_parents(
    path: str, directories: DiskMap, whiteouts: Iterable[bytes] = (), *, links: bool
) -> None:
    """Note what a layer leaves to lower layers, if that is anything: else there is no file.

    Args:
        path: of the file.
        directories: those without a member.
        whiteouts: directories that hold any.
        links: as `ImplicitParents.links`.
    """
    inside = iter(whiteouts)
    first = next(inside, None)
    if directories or links or first is not None:
        with open(path, "wb") as file:
            file.write(_LINKS if links else _DIRECTORIES)
            file.writelines(_SEPARATOR + directory for directory in directories)
            if first is not None:
                with_whiteouts = itertools.chain((_END, first), inside)
                file.writelines(_SEPARATOR + directory for directory in with_whiteouts)


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
        whiteouts: of the layer.
    """

    def __init__(
        self, root: Root, lowers: Sequence[str], times: DirectoryTimes, whiteouts: Whiteouts
    ) -> None:
        self._root = root
        self._stack = LayerStack(lowers)
        self._times = times
        self._whiteouts = whiteouts
        self._directories = DiskMap(root.beside)
        self._others = DiskMap(root.beside)

    def close(self) -> None:
        """Forget what was noted."""
        self._directories.close()
        self._others.close()

    def has_directory(self, path: bytes) -> bool:
        """Say whether the lower layers have a directory at a path."""
        return has_directory(self._stack, path)

    def keep(self, path: bytes) -> None:
        """Note that the layer has a member for what is at a path, so that it is the lower layers' no more."""
        self._directories.discard(path)
        self._others.discard(path)

    def undo(self, path: bytes, found: os.stat_result) -> bool:
        """Remove what was made as the lower layers have it at a path, since the layer takes it away.

        Args:
            path: of it.
            found: what is there. A directory stays if the layer has something of its own in it.

        Returns:
            Whether anything was removed.
        """
        inside = stat.S_ISDIR(found.st_mode) and self.undo_in(path)
        return self._remove(path) or inside

    def undo_in(self, directory: bytes) -> bool:
        """Remove what was made so in a directory, as `undo`."""
        undone = False
        if self._whiteouts.is_hidden(directory + b"/"):
            return undone  # it was undone when it was hidden
        for made in self._others:
            interrupt.check()
            if made.startswith(directory + b"/") or not directory:
                path = made
                while path != directory and self._remove(path):
                    undone, path = True, path.rpartition(b"/")[0]
        return undone

    def _remove(self, path: bytes) -> bool:
        """Remove what was made as the lower layers have it at a path; say whether it was there, and empty."""
        with contextlib.suppress(PathError, OSError), self._root.at(path, follow=False) as location:
            if location.stat is None or location.path != path:
                return False
            if not location.is_directory and self._others.get(path) is not None:
                os.unlink(location.name, dir_fd=location.directory)
                return True
            if location.is_directory and self._directories.get(path) is not None:
                os.rmdir(location.name, dir_fd=location.directory)
                return True
        return False

    def directory(self, parent: int, name: bytes, path: bytes) -> bool:
        """Make the directory or link that the lower layers have at a path; return whether there is one.

        Raises:
            ParentNotDirectoryError: something else is there.
        """
        found = self._find(path)
        if found is None:
            return False
        if stat.S_ISLNK(found.stat.st_mode):
            _copy(found, parent, name)
            self._others.setdefault(path, _NOTHING)
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
        self._directories.setdefault(path, _NOTHING)
        return True

    def file(self, location: ResolvedPath) -> bool:
        """Make a lower layer's file where this one has nothing; return whether there is one."""
        found = self._find(location.path)
        if found is None or stat.S_ISDIR(found.stat.st_mode):
            return False
        _copy(found, location.directory, location.name)
        self._others.setdefault(location.path, _NOTHING)
        return True

    def _find(self, path: bytes) -> Found | None:
        return None if self._whiteouts.is_hidden(path) else self._stack.find(path)


def has_directory(stack: LayerStack, path: bytes) -> bool:
    """Say whether layers have a directory at a path."""
    found = stack.find(path)
    return found is not None and stat.S_ISDIR(found.stat.st_mode)


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
