"""A tar member as a value, so that reader, writer, snapshots and copies speak of one thing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

NO_XATTRS: Final[Mapping[bytes, bytes]] = MappingProxyType({})

WHITEOUT_PREFIX: Final = b".wh."
"""Prefix of a member that deletes its namesake of a lower layer (OCI image spec, layer.md, Whiteouts)."""

OPAQUE_WHITEOUT: Final = b".wh..wh..opq"
"""Name of a member that hides everything that lower layers have in its directory."""


AUFS_PREFIX: Final = b".wh..wh."
"""Prefix of AUFS's own names, which old images hold. Only `OPAQUE_WHITEOUT` means something in a layer."""

AUFS_LINKS: Final = b".wh..wh.plnk"
"""Directory in which AUFS keeps files that have more than one name; hard links of the layer lead there."""


class EntryType(Enum):
    """What a member is; the value is its type flag in a tar header."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHAR_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


class Entry(NamedTuple):
    """One tar member without its content: a tuple, which is made in a third of a frozen dataclass's time.

    Attributes:
        path: relative to the layer's root, without a leading or trailing slash; bytes as on disk.
        type: what it is.
        mode: permission bits with set-uid, set-gid and sticky, `0o7777` at most.
        uid: owner, any 32-bit number.
        gid: group.
        size: bytes of content; zero for everything but files.
        mtime: whole seconds since the epoch. Fractions are cut as containerd cuts them: a header
            that needs no PAX record is smaller and quicker to write and to read.
        target: of a symbolic link (verbatim) or a hard link (a path of the same layer).
        device: (major, minor) of a device node.
        xattrs: extended attributes by full name, such as `security.capability`.
    """

    path: bytes
    type: EntryType
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = NO_XATTRS

    @property
    def name(self) -> bytes:
        """The last component of the path."""
        return self.path.rpartition(b"/")[2]

    @property
    def parent(self) -> bytes:
        """The path without its last component, empty at the root."""
        return self.path.rpartition(b"/")[0]

    @property
    def is_aufs_data(self) -> bool:
        """Whether it is AUFS's own and so no part of the image, as for containerd and docker."""
        if AUFS_PREFIX not in self.path:
            return False
        *parents, name = self.path.split(b"/")
        if name.startswith(AUFS_PREFIX) and name != OPAQUE_WHITEOUT:
            return True
        return any(parent.startswith(AUFS_PREFIX) for parent in parents)
