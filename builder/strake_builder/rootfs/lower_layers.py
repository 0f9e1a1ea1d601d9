"""Looks up in a stack of layers what a path was before, without mounting it."""

from __future__ import annotations

import os
import stat
from typing import Final

from strake_builder.layers.entry import Entry, EntryType
from strake_builder.rootfs.unpack import OPAQUE_XATTR

_OVERLAY_XATTR: Final = ("user.overlay.", "trusted.overlay.")
_LEFT_OUT_XATTR: Final = ("security.selinux", "system.", "security.ima", "security.evm")
_CHUNK: Final = 1 << 20

Member = tuple[Entry, str]


class LowerLayers:
    """The layers below a step.

    Args:
        layers: directories, topmost first.
    """

    def __init__(self, layers: list[bytes]) -> None:
        self._layers = layers
        self._known: dict[bytes, bool] = {b"": True}

    def same_directory(self, path: bytes, entry: Entry) -> bool:
        """Say whether a directory was there with this mode, owner and these attributes.

        Its times do not count: they change whenever anything in it does, also when that is undone.
        """
        found = self._find(path) if self._may_have(path) else None
        self._known[path] = found is not None and stat.S_ISDIR(found[1].st_mode)
        if found is None:
            return False
        where, was = found
        return (
            stat.S_ISDIR(was.st_mode)
            and stat.S_IMODE(was.st_mode) == entry.mode
            and (was.st_uid, was.st_gid) == (entry.uid, entry.gid)
            and read_xattrs(where) == entry.xattrs
        )

    def same_file(self, member: Member) -> bool:
        """Say whether a file was there with this content and metadata, its time of change included."""
        entry, path = member
        if entry.type is not EntryType.FILE or not path or not self._may_have(entry.path):
            return False
        found = self._find(entry.path)
        if found is None:
            return False
        where, was = found
        now = os.lstat(path)
        return (
            stat.S_ISREG(was.st_mode)
            and (was.st_mode, was.st_uid, was.st_gid) == (now.st_mode, now.st_uid, now.st_gid)
            and (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
            and read_xattrs(where) == entry.xattrs
            and _same_content(where, os.fsencode(path))
        )

    def _may_have(self, path: bytes) -> bool:
        """Say whether the parent was a directory: if not, nothing below it needs to be looked for."""
        return self._known.get(path.rpartition(b"/")[0], False)

    def _find(self, path: bytes) -> tuple[bytes, os.stat_result] | None:
        for layer in self._layers:
            where = os.path.join(layer, path)
            found = _lstat(where)
            if found is not None:
                is_whiteout = stat.S_ISCHR(found.st_mode) and not found.st_rdev
                return None if is_whiteout else (where, found)
            if _hides(layer, path):
                return None
        return None


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
            piece = a.read(_CHUNK)
            if piece != b.read(_CHUNK):
                return False
            if not piece:
                return True


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _hides(layer: bytes, path: bytes) -> bool:
    """Say whether a layer that lacks a path hides it in the layers below, by an opaque or other parent."""
    while path:
        path = path.rpartition(b"/")[0]
        found = _lstat(os.path.join(layer, path)) if path else None
        if found is None:
            continue
        if not stat.S_ISDIR(found.st_mode):
            return True
        try:
            if os.getxattr(os.path.join(layer, path), OPAQUE_XATTR, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False
