"""Looks at layers of which the files were left out as at the layers themselves, for a few directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from strake_builder import interrupt
from strake_builder.rootfs.files.lookup import lstat_or_none
from strake_builder.rootfs.layer_outline import LayerOutline, mode_owner_time
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack
from strake_builder.rootfs.stack.whiteout import is_whiteout

_Names = dict[bytes, bytes]
"""Name of a file that was left out → what is known of it."""
_UNLIKE_ANY = (stat.S_IFIFO | 0o644, 0, 0, 0, 0)


class OutlinedStack:
    """Layers, one on the other, as `LayerStack`; what was left out is found without a path.

    Args:
        layers: outlines of the lowest layers, bottom first.
        above: directories of the layers on them, bottom first.
        is_listed: says whether the names in a directory will be asked for.
        lock: for what was noted of the outlines.
    """

    def __init__(
        self,
        layers: Sequence[LayerOutline],
        above: Sequence[str],
        is_listed: Callable[[bytes], bool],
        lock: AbstractContextManager[object],
    ) -> None:
        self._stack = LayerStack([*reversed(above), *(layer.directory for layer in reversed(layers))])
        with lock:
            self._left_out = {os.fsencode(layer.directory): _left_out(layer, is_listed) for layer in layers}

    def find(self, path: bytes) -> Found | None:
        """As `LayerStack.find`, in a directory whose names may be asked for."""
        parent, _, name = path.rpartition(b"/")
        for layer in self._stack.holding(parent):
            where = os.path.join(layer, path)
            found = lstat_or_none(where)
            if found is not None:
                return None if is_whiteout(found) else Found(where, found)
            known = self._names(layer, parent).get(name)
            if known is not None:
                return _found(known)
        return None

    def members(self, path: bytes, limit: int) -> dict[bytes, Found] | None:
        """As `LayerStack.members`."""
        members: dict[bytes, Found] = {}
        hidden: set[bytes] = set()
        for layer in self._stack.holding(path):
            with os.scandir(os.path.join(layer, path)) as entries:
                for entry in entries:
                    if entry.name in members or entry.name in hidden:
                        continue
                    found = entry.stat(follow_symlinks=False)
                    if is_whiteout(found):
                        hidden.add(entry.name)
                    else:
                        members[entry.name] = Found(entry.path, found)
            for name, known in self._names(layer, path).items():
                if name not in hidden:
                    members.setdefault(name, _found(known))
            if len(members) + len(hidden) > limit:
                return None
        return members

    def _names(self, layer: bytes, parent: bytes) -> _Names:
        return self._left_out.get(layer, {}).get(parent, {})


def _left_out(layer: LayerOutline, is_listed: Callable[[bytes], bool]) -> dict[bytes, _Names]:
    """Return what a layer's outline left out of the directories that will be asked for."""
    found: dict[bytes, _Names | None] = {}
    for path in layer.files:
        interrupt.check()
        parent, _, name = path.rpartition(b"/")
        if parent not in found:
            found[parent] = {} if is_listed(parent) else None
        names, known = found[parent], layer.files.get(path)
        if names is not None and known is not None:
            names[name] = known
    return {parent: names for parent, names in found.items() if names}


def _found(known: bytes) -> Found:
    mode, uid, gid, size, mtime = mode_owner_time(known) or _UNLIKE_ANY
    times = {"st_mtime_ns": mtime * 1_000_000_000}
    return Found(b"", os.stat_result((mode, 0, 0, 1, uid, gid, size, 0, mtime, 0), times))
