"""Looks up in a stack of layers what a path was before, without mounting it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final

from strake_builder import interrupt
from strake_builder.layers.entry import Entry
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack

_OVERLAY_XATTR: Final = ("user.overlay.", "trusted.overlay.")
_LEFT_OUT_XATTR: Final = ("security.selinux", "system.", "security.ima", "security.evm")
_CHUNK: Final = 1 << 20


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

    def same_file(self, file: tuple[Entry, int], mtime_ns: int) -> bool:
        """Say whether a file was there with this content and metadata, its time of modification included.

        Args:
            file: it, and a descriptor of its content, which an empty one need not have.
            mtime_ns: its time, before any clamp.
        """
        entry, content = file
        found = self._stack.find(entry.path)
        if found is None:
            return False
        was = found.stat
        return (
            stat.S_ISREG(was.st_mode)
            and (stat.S_IMODE(was.st_mode), was.st_uid, was.st_gid) == (entry.mode, entry.uid, entry.gid)
            and (was.st_size, was.st_mtime_ns) == (entry.size, mtime_ns)
            and read_xattrs(found.where) == entry.xattrs
            and (not entry.size or _same_content(found.where, content))
        )


def read_xattrs(where: bytes | int) -> dict[bytes, bytes]:
    """Return the extended attributes that belong into an image.

    Args:
        where: an open file, or a path, whose last component is not followed.
    """
    follow = isinstance(where, int)
    try:
        names = os.listxattr(where, follow_symlinks=follow)
    except OSError:
        return {}
    return {
        name.encode(): os.getxattr(where, name, follow_symlinks=follow)
        for name in names
        if not name.startswith(_OVERLAY_XATTR) and not name.startswith(_LEFT_OUT_XATTR)
    }


def _same_content(path: bytes, content: int) -> bool:
    at = 0
    with open(path, "rb") as file:
        while True:
            interrupt.check()
            piece = file.read(_CHUNK)
            if piece != os.pread(content, _CHUNK, at):
                return False
            if not piece:
                return True
            at += len(piece)
