"""Lists what steps left in a cache mount. The tree is theirs: no link in it is followed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Final

from strake_builder.cache.mounts.listing import MAX_ENTRIES, Kind, Listed
from strake_builder.cache.mounts.repository import TooLargeMountError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.spill.disk_map import identity
from strake_builder.rootfs.spill.names import sorted_names

_FILE_MODE: Final = 0o777
_DIRECTORY_MODE: Final = 0o3777
_PATH_MAX: Final = 4096


class UnkeepableMountError(Exception):
    """A mount that cannot be kept as it is; the message says why."""


@dataclass(slots=True)
class _Scan:
    """What was found so far.

    Attributes:
        entries: by path.
        linked: the first path of each file that has several names.
        size: bytes of the files.
        limit: how many they may be.
    """

    limit: int
    entries: dict[bytes, Listed] = field(default_factory=dict)
    linked: dict[bytes, bytes] = field(default_factory=dict)
    size: int = 0

    def add(self, path: bytes, found: Listed) -> None:
        """Take in an entry.

        Raises:
            TooLargeMountError: they are too large.
            UnkeepableMountError: there are too many.
        """
        self.entries[path] = found
        self.size += found.size
        if self.size > self.limit:
            raise TooLargeMountError(f"it holds more than {self.limit:,} bytes")
        if len(self.entries) > MAX_ENTRIES:
            raise UnkeepableMountError(f"it holds more than {MAX_ENTRIES:,} entries")


def scan(directory: str, limit: int) -> dict[bytes, Listed]:
    """Return what is in a cache mount; devices, pipes and sockets are left out.

    Args:
        directory: the mount.
        limit: bytes that its files may have.

    Raises:
        TooLargeMountError: it holds too many bytes.
        UnkeepableMountError: it holds too many entries, or a path is too long.
        OSError: it cannot be read.
    """
    found = _Scan(limit)
    with Root(directory) as root:
        with root.directory(b"") as fd:
            found.add(b"", _directory(os.stat(fd)))
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            with root.directory(path) as fd:
                for name in sorted_names(fd, root.beside):
                    inside = path + b"/" + name if path else name
                    if len(inside) >= _PATH_MAX:
                        raise UnkeepableMountError("a path in it is longer than 4,095 bytes")
                    if _add(found, inside, name, fd):
                        waiting.append(inside)
    return _first_names(found)


def _add(found: _Scan, path: bytes, name: bytes, parent: int) -> bool:
    """List what has a name in an open directory; say whether it is a directory."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    owner = (status.st_uid, status.st_gid)
    if stat.S_ISDIR(status.st_mode):
        found.add(path, _directory(status))
        return True
    if stat.S_ISLNK(status.st_mode):
        found.add(path, Listed(Kind.SYMLINK, _FILE_MODE, *owner, target=os.readlink(name, dir_fd=parent)))
    elif stat.S_ISREG(status.st_mode):
        mode = stat.S_IMODE(status.st_mode) & _FILE_MODE
        if status.st_nlink > 1:
            first = found.linked.setdefault(identity(status), path)
            if first != path:
                found.add(path, Listed(Kind.HARD_LINK, mode, *owner, target=first))
                return False
        found.add(path, Listed(Kind.FILE, mode, *owner, status.st_size, max(status.st_mtime_ns, 0)))
    return False


def _directory(status: os.stat_result) -> Listed:
    mode = stat.S_IMODE(status.st_mode) & _DIRECTORY_MODE
    return Listed(Kind.DIRECTORY, mode, status.st_uid, status.st_gid, mtime_ns=max(status.st_mtime_ns, 0))


def _first_names(found: _Scan) -> dict[bytes, Listed]:
    """Have the file at the first of its names in the order of bytes, so that every scan lists the same."""
    entries = found.entries
    names: dict[bytes, list[bytes]] = {}
    for path, each in entries.items():
        if each.kind is Kind.HARD_LINK:
            names.setdefault(each.target, [each.target]).append(path)
    for met, paths in names.items():
        first, *others = sorted(paths)
        file = entries[met]
        entries[first] = file
        for other in others:
            entries[other] = Listed(Kind.HARD_LINK, file.mode, file.uid, file.gid, target=first)
    return entries
