"""Resolves paths inside a root directory that somebody else has filled.

A root file system is hostile: `/etc` may be a link to `/`, `a/../../..` may climb. Every component is
opened by itself with O_NOFOLLOW relative to the directory before it; links are read and followed
by hand, absolute ones from the root; `..` never leaves the root. That is what a process sees
that has the directory as its root, without becoming one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from strake_builder.rootfs.errors import NotInRootError, ParentNotDirectoryError, PathError, TooManyLinksError
from strake_builder.rootfs.files.owner import set_owner
from strake_oci.lazy_dataclass import dataclass

MAX_LINKS: Final = 255
"""Symbolic links on the way to one path, as containerd's continuity counts them."""
_PEEK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


Maker = Callable[[int, bytes, bytes], bool]
"""(open parent directory, name, path) → whether it made a directory or a link there.

Also called where something is that no path can go through: it may replace it."""


@dataclass(frozen=True, slots=True)
class NewDirectory:
    """How directories are made that a path needs and that are missing.

    Attributes:
        mode: permissions.
        owner: (uid, gid); None for the caller's, or the group of a directory that hands it on.
        mtime_ns: modification time; None for now.
        maker: is asked first.
        hands_on: a set-group-ID bit of the directory around it is handed on, as by mkdir(2).
    """

    mode: int = 0o755
    owner: tuple[int, int] | None = None
    mtime_ns: int | None = None
    maker: Maker | None = None
    hands_on: bool = True


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """Where a path leads: a name in an open directory.

    Attributes:
        directory: descriptor of the parent directory (O_PATH), valid inside `Root.at`.
        name: the last component; `.` for the root itself.
        path: the resolved path relative to the root, empty for the root itself.
        stat: what is there, links not followed; None where nothing is.
    """

    directory: int
    name: bytes
    path: bytes
    stat: os.stat_result | None

    @property
    def is_directory(self) -> bool:
        """Whether a directory is there."""
        return self.stat is not None and stat.S_ISDIR(self.stat.st_mode)

    @property
    def proc_path(self) -> bytes:
        """A path for calls that take no descriptor, such as those on extended attributes."""
        return b"/proc/self/fd/%d/%s" % (self.directory, self.name)


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
        walk = _Walk(self._fd, path, create)
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
        walk = _Walk(self._fd, path, create)
        try:
            yield walk.to_directory()
        finally:
            walk.close()

    def make_directories(self, path: bytes, new: NewDirectory) -> list[bytes]:
        """Make a directory and its missing parents; return the resolved paths made, outermost first."""
        walk = _Walk(self._fd, path, new)
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
        walk = _Walk(self._fd, path, None)
        try:
            return walk.to_what_is_missing()
        finally:
            walk.close()

    def resolution(self, path: bytes, *, follow: bool) -> Resolution:
        """Return where a path leads; see `at`.

        Raises:
            PathError: as `at`.
        """
        walk = _Walk(self._fd, path, None)
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


class _Walk:
    """One resolution: a stack of open directories from the root to where the walk stands."""

    def __init__(self, root: int, path: bytes, create: NewDirectory | None) -> None:
        if b"\0" in path:
            raise PathError("a path cannot contain a null byte")
        self._asked = path
        self._create = create
        self._pending = deque(_parts(path))
        self._fds = [os.dup(root)]
        self._names: list[bytes] = []
        self.made: list[bytes] = []
        self.followed: list[bytes] = []

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def to_directory(self) -> int:
        while self._pending:
            self._step(self._pending.popleft())
        return self._fds[-1]

    def to_parent(self, *, follow: bool) -> ResolvedPath:
        while self._pending:
            part = self._pending.popleft()
            if self._pending or part == b"..":
                self._step(part)
                continue
            found = self._lstat(part)
            if follow and found is not None and stat.S_ISLNK(found.st_mode):
                self._follow(part)
                continue
            return ResolvedPath(self._fds[-1], part, b"/".join([*self._names, part]), found)
        return self._here()

    def to_what_is_missing(self) -> bytes:
        while self._pending:
            part = self._pending.popleft()
            if part == b"..":
                self._step(part)
                continue
            found = self._lstat(part)
            if found is None or not (stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)):
                return self._with_rest(part)
            if stat.S_ISLNK(found.st_mode):
                self._follow(part)
            else:
                self._step(part)
        return b"/".join(self._names)

    def _with_rest(self, part: bytes) -> bytes:
        names = [*self._names, part]
        for name in self._pending:
            if name == b"..":
                names = names[:-1]
            else:
                names.append(name)
        return b"/".join(names)

    def _here(self) -> ResolvedPath:
        """Return the directory in which the walk is, after `..` or at the root."""
        here = os.stat(b".", dir_fd=self._fds[-1])
        if not self._names:
            return ResolvedPath(self._fds[-1], b".", b"", here)
        return ResolvedPath(self._fds[-2], self._names[-1], b"/".join(self._names), here)

    def _step(self, part: bytes) -> None:
        if part == b"..":
            if self._names:
                os.close(self._fds.pop())
                self._names.pop()
            return
        fd = self._open(part)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            self._fds.append(fd)
            self._names.append(part)
            return
        os.close(fd)
        if stat.S_ISLNK(mode):
            self._follow(part)
        elif self._replaces(part):
            self._step(part)
        else:
            raise ParentNotDirectoryError(f"{self._at(part)} is not a directory")

    def _open(self, part: bytes) -> int:
        try:
            return os.open(part, _PEEK, dir_fd=self._fds[-1])
        except FileNotFoundError:
            return self._make(part)
        except OSError as error:
            raise self._os_error(error) from error

    def _replaces(self, part: bytes) -> bool:
        """Say whether the maker made something else of what is in the way."""
        if self._create is None or self._create.maker is None:
            return False
        return self._create.maker(self._fds[-1], part, b"/".join([*self._names, part]))

    def _follow(self, part: bytes) -> None:
        target = os.readlink(part, dir_fd=self._fds[-1])
        self.followed.append(b"/".join([*self._names, part]))
        if len(self.followed) > MAX_LINKS:
            raise TooManyLinksError(
                f"/{self._asked.lstrip(b'/').decode(errors='replace')}: too many symbolic links"
            )
        if target.startswith(b"/"):
            while self._names:
                os.close(self._fds.pop())
                self._names.pop()
        self._pending.extendleft(reversed(_parts(target)))

    def _make(self, part: bytes) -> int:
        if self._create is None:
            raise NotInRootError(f"{self._at(part)} does not exist")
        new = self._create
        path = b"/".join([*self._names, part])
        if new.maker is not None and new.maker(self._fds[-1], part, path):
            return os.open(part, _PEEK, dir_fd=self._fds[-1])
        try:
            os.mkdir(part, new.mode, dir_fd=self._fds[-1])
        except OSError as error:
            raise self._os_error(error) from error
        self.made.append(path)
        fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fds[-1])
        handed_on = os.fstat(fd).st_mode & stat.S_ISGID if new.hands_on else 0
        if new.owner is not None:
            set_owner(fd, new.owner, b"/" + path)
        os.fchmod(fd, new.mode | handed_on)
        if new.mtime_ns is not None:
            os.utime(fd, ns=(new.mtime_ns, new.mtime_ns))
        return fd

    def _lstat(self, part: bytes) -> os.stat_result | None:
        try:
            return os.stat(part, dir_fd=self._fds[-1], follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._os_error(error) from error

    def _at(self, part: bytes) -> str:
        return "/" + b"/".join([*self._names, part]).decode(errors="replace")

    def _os_error(self, error: OSError) -> Exception:
        if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR}:
            return PathError(f"/{self._asked[:200].decode(errors='replace')}: {error.strerror}")
        return error


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in {b"", b"."}]
