"""Looks up in a stack of layers what a path was before, without mounting it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from strake_builder import interrupt
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack

_OVERLAY_XATTR: Final = ("user.overlay.", "trusted.overlay.")
_LEFT_OUT_XATTR: Final = ("security.selinux", "system.", "security.ima", "security.evm")
_CHUNK: Final = 1 << 20

Member = tuple[Entry, bytes]


class LowerLayers:
    """The lower layers of a step.

    Args:
        layers: directories, topmost first.
    """

    def __init__(self, layers: Sequence[bytes]) -> None:
        self._stack = LayerStack(layers)

    def directory(self, path: bytes) -> Found | None:
        """Return the directory that was there, None where there was none."""
        found = self._stack.find(path)
        return found if found is not None and stat.S_ISDIR(found.stat.st_mode) else None

    @staticmethod
    def same_directory(found: Found, entry: Entry) -> bool:
        """Say whether a directory that was there had this mode, owner and these attributes.

        Its times do not count: they change whenever anything in it does, also when that is undone.
        """
        was = found.stat
        return (
            stat.S_IMODE(was.st_mode) == entry.mode
            and (was.st_uid, was.st_gid) == (entry.uid, entry.gid)
            and read_xattrs(found.where) == entry.xattrs
        )

    def same_file(self, member: Member, mtime_ns: int) -> bool:
        """Say whether a file was there with this content and metadata, its time of modification included.

        Args:
            member: the file, and where its content is; anything else never was there.
            mtime_ns: its time, before any clamp.
        """
        entry, path = member
        if entry.type is not EntryType.FILE or not path:
            return False
        found = self._stack.find(entry.path)
        if found is None:
            return False
        was = found.stat
        return (
            stat.S_ISREG(was.st_mode)
            and (stat.S_IMODE(was.st_mode), was.st_uid, was.st_gid) == (entry.mode, entry.uid, entry.gid)
            and (was.st_size, was.st_mtime_ns) == (entry.size, mtime_ns)
            and read_xattrs(found.where) == entry.xattrs
            and _same_content(found.where, path)
        )


def read_xattrs(where: bytes) -> dict[bytes, bytes]:
    """Return the extended attributes that belong into an image."""
    try:
        names = os.listxattr(where, follow_symlinks=False)
    except OSError:
        return {}
    return {
        name.encode(): os.getxattr(where, name, follow_symlinks=False)
        for name in names
        if not name.startswith(_OVERLAY_XATTR) and not name.startswith(_LEFT_OUT_XATTR)
    }


def _same_content(one: bytes, other: bytes) -> bool:
    with open(one, "rb") as a, open(other, "rb") as b:
        while True:
            interrupt.check()
            piece = a.read(_CHUNK)
            if piece != b.read(_CHUNK):
                return False
            if not piece:
                return True
