"""Looks at layers of which the files were left out as at the layers themselves, for a few directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from strake_builder import interrupt
from strake_builder.rootfs.layer_outline import LayerOutline, mode_owner_time
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack

_Names = dict[bytes, Found]
_UNLIKE_ANY = (stat.S_IFIFO | 0o644, 0, 0, 0, 0)


class OutlinedStack(LayerStack):
    """Layers, one on the other; what was left out is found without a path.

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
        super().__init__([*reversed(above), *(layer.directory for layer in reversed(layers))])
        with lock:
            self._noted = {os.fsencode(layer.directory): _left_out(layer, is_listed) for layer in layers}

    def _left_out(self, layer: bytes, directory: bytes) -> Mapping[bytes, Found]:
        return self._noted.get(layer, {}).get(directory, {})


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
            names[name] = _found(known)
    return {parent: names for parent, names in found.items() if names}


def _found(known: bytes) -> Found:
    mode, uid, gid, size, mtime = mode_owner_time(known) or _UNLIKE_ANY
    times = {"st_mtime_ns": mtime * 1_000_000_000}
    return Found(b"", os.stat_result((mode, 0, 0, 1, uid, gid, size, 0, mtime, 0), times))
