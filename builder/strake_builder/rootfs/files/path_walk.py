"""One resolution of a path inside a root that somebody else has filled.

Every component is opened by itself with O_NOFOLLOW relative to the directory before it; links are read and
followed by hand, absolute ones from the root; `..` never leaves the root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Final

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


class PathWalk:
    """One resolution: a stack of open directories from the root to where it has got. Close it.

    Args:
        root: descriptor of the root.
        path: what is resolved.
        create: makes directories that are missing; None makes none.

    Attributes:
        made: resolved paths of the directories made, outermost first.
        followed: paths of the links that were followed, in order.

    Raises:
        PathError: the path has a null byte.
    """

    def __init__(self, root: int, path: bytes, create: NewDirectory | None) -> None:
        if b"\0" in path:
            raise PathError("a path cannot contain a null byte")
        self._asked = path
        self._create = create
        self._pending = deque(parts(path))
        self._fds = [os.dup(root)]
        self._names: list[bytes] = []
        self.made: list[bytes] = []
        self.followed: list[bytes] = []

    def close(self) -> None:
        """Close all that is open, a directory that was returned among it."""
        while self._fds:
            os.close(self._fds.pop())

    def to_directory(self) -> int:
        """Go to the path and return a descriptor of it (O_PATH).

        Raises:
            PathError: it is no directory, or cannot be reached.
        """
        while self._pending:
            self._step(self._pending.popleft())
        return self._fds[-1]

    def to_parent(self, *, follow: bool) -> ResolvedPath:
        """Go to the directory that the path is in; `follow` a link that is its last component.

        Raises:
            PathError: a component on the way is missing, or no directory.
        """
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
        """Go as far as there is something, and return the path without links; the rest is kept as it is.

        Raises:
            PathError: links lead in a circle.
        """
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
        self._pending.extendleft(reversed(parts(target)))

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


def parts(path: bytes) -> list[bytes]:
    """Return the components of a path, `..` among them."""
    return [part for part in path.split(b"/") if part not in {b"", b"."}]
