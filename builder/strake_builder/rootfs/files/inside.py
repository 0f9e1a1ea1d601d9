"""Resolves paths inside a root directory that somebody else has filled.

A root file system is hostile: `/etc` may be a link to `/`, `a/../../..` may climb. A path leads where it does
for a process that has the directory as its root, without becoming one (`path_walk.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from strake_builder.rootfs.errors import NotInRootError, ParentNotDirectoryError, PathError
from strake_builder.rootfs.files.path_walk import NewDirectory, PathWalk, ResolvedPath
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a path leads.

    Attributes:
        path: without links, relative to the root, and empty for the root itself.
        links: paths of the links that were followed, in order.
    """

    path: bytes
    links: tuple[bytes, ...]


class Root:
    """A directory seen as the root of a file system. Close it, or use it as a context.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def beside(self) -> str:
        """The directory that holds it, where what is noted of a root goes."""
        return os.path.dirname(os.path.abspath(self.path))

    @contextmanager
    def at(
        self, path: bytes, *, follow: bool = True, create: NewDirectory | None = None
    ) -> Iterator[ResolvedPath]:
        """Resolve a path and hold its parent directory open.

        Args:
            path: absolute or relative to the root, which is the same.
            follow: follow a symbolic link in the last component.
            create: make missing parent directories so; without it they are an error.

        Raises:
            NotInRootError: a parent directory is missing.
            ParentNotDirectoryError: a parent is something else.
            TooManyLinksError: links lead in a circle.
        """
        walk = PathWalk(self._fd, path, create)
        try:
            yield walk.to_parent(follow=follow)
        finally:
            walk.close()

    @contextmanager
    def directory(self, path: bytes, *, create: NewDirectory | None = None) -> Iterator[int]:
        """Open a directory (O_PATH), made with its parents where `create` says how.

        Raises:
            PathError: as `at`, and where the path itself is no directory.
        """
        walk = PathWalk(self._fd, path, create)
        try:
            yield walk.to_directory()
        finally:
            walk.close()

    def make_directories(self, path: bytes, new: NewDirectory) -> list[bytes]:
        """Make a directory and its missing parents; return the resolved paths made, outermost first."""
        walk = PathWalk(self._fd, path, new)
        try:
            walk.to_directory()
            return walk.made
        finally:
            walk.close()

    def stat(self, path: bytes, *, follow: bool = True) -> os.stat_result | None:
        """Return what is at a path, or None where nothing is (or a link dangles)."""
        try:
            with self.at(path, follow=follow) as location:
                return location.stat
        except (NotInRootError, ParentNotDirectoryError):
            return None

    def resolve(self, path: bytes) -> bytes:
        """Return the path without links, relative to the root; what is missing is kept as it is written.

        Raises:
            PathError: a file is on the way, or links lead in a circle.
        """
        walk = PathWalk(self._fd, path, None)
        try:
            return walk.to_what_is_missing()
        finally:
            walk.close()

    def resolution(self, path: bytes, *, follow: bool) -> Resolution:
        """Return where a path leads; see `at`.

        Raises:
            PathError: as `at`.
        """
        walk = PathWalk(self._fd, path, None)
        try:
            return Resolution(walk.to_parent(follow=follow).path, tuple(walk.followed))
        finally:
            walk.close()

    def read_file(self, path: bytes, limit: int) -> bytes | None:
        """Return a regular file's content, or None where there is none.

        Raises:
            PathError: it is larger than `limit` bytes, or links lead in a circle.
        """
        try:
            with self.at(path) as location:
                if location.stat is None or not stat.S_ISREG(location.stat.st_mode):
                    return None
                if location.stat.st_size > limit:
                    raise PathError(f"/{location.path.decode(errors='replace')} is larger than {limit} bytes")
                fd = os.open(
                    location.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=location.directory
                )
        except (NotInRootError, ParentNotDirectoryError):
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read(limit)
