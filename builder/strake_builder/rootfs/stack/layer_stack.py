"""Looks at layers as if they were stacked, without mounting them.

No link is followed: a path is looked up in a layer only where every directory on the way is a real one in
that layer, and the lower layers count only where overlay would look into them as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from strake_builder.rootfs.files.lookup import lstat_or_none
from strake_builder.rootfs.stack.whiteout import is_whiteout
from strake_oci.lazy_dataclass import dataclass

OPAQUE_XATTR: Final = "user.overlay.opaque"
_NOTHING: Final[Mapping[bytes, Found]] = MappingProxyType({})
_Path = TypeVar("_Path", bound=str | bytes)
_REMEMBERED: Final = 4096
"""Directories. A walk asks for the children of one directory after the other."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the topmost layer that has a path has there.

    Attributes:
        where: the path on disk.
        stat: what is there.
    """

    where: bytes
    stat: os.stat_result


class LayerStack:
    """Layers, one on the other.

    Args:
        layers: directories in overlay's form, topmost first.
    """

    def __init__(self, layers: Sequence[str | bytes]) -> None:
        self._layers = tuple(os.fsencode(layer) for layer in seen_layers(layers))
        self._known: dict[bytes, tuple[bytes, ...]] = {}

    def find(self, path: bytes) -> Found | None:
        """Return what is at a path, links not followed, or None where nothing is.

        Args:
            path: relative to the root, without links on the way.
        """
        parent, _, name = path.rpartition(b"/")
        for layer in self._holding(parent):
            where = os.path.join(layer, path)
            found = lstat_or_none(where)
            if found is not None:
                return None if is_whiteout(found) else Found(where, found)
            if (left_out := self._left_out(layer, parent).get(name)) is not None:
                return left_out
        return None

    def members(self, path: bytes, limit: int) -> dict[bytes, Found] | None:
        """Return what is in a directory, by name; None where that is too much.

        Args:
            path: relative to the root, without links on the way.
            limit: names to remember, those that layers take away included.
        """
        members: dict[bytes, Found] = {}
        hidden: set[bytes] = set()
        for layer in self._holding(path):
            with os.scandir(os.path.join(layer, path)) as entries:
                for entry in entries:
                    if entry.name in members or entry.name in hidden:
                        continue
                    found = entry.stat(follow_symlinks=False)
                    if is_whiteout(found):
                        hidden.add(entry.name)
                    else:
                        members[entry.name] = Found(entry.path, found)
                    if len(members) + len(hidden) > limit:
                        return None
            for name, left_out in self._left_out(layer, path).items():
                if name not in hidden:
                    members.setdefault(name, left_out)
        return members if len(members) + len(hidden) <= limit else None

    def _left_out(self, layer: bytes, directory: bytes) -> Mapping[bytes, Found]:
        """Return what a layer has in a directory that is not on disk, by name: nothing, but for outlines."""
        del layer, directory
        return _NOTHING

    def _holding(self, path: bytes) -> tuple[bytes, ...]:
        """Return the layers whose directory at a path is part of the stack's, topmost first."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        unknown = []
        while path and path not in self._known:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        layers = self._known[path] if path else self._layers
        for inner in reversed(unknown):
            layers = self._known[inner] = _holding_directory(layers, inner)
        return layers


def seen_layers(layers: Sequence[_Path]) -> tuple[_Path, ...]:
    """Return the layers (topmost first) that one at the top leaves to be seen, whose root may be opaque."""
    for position, layer in enumerate(layers):
        if is_opaque(os.fsencode(layer)):
            return tuple(layers[: position + 1])
    return tuple(layers)


def _holding_directory(layers: tuple[bytes, ...], path: bytes) -> tuple[bytes, ...]:
    """Return which layers of those that hold its parent hold a directory."""
    holding = []
    for layer in layers:
        where = os.path.join(layer, path)
        found = lstat_or_none(where)
        if found is None:
            continue
        if not stat.S_ISDIR(found.st_mode):
            break
        holding.append(layer)
        if is_opaque(where):
            break
    return tuple(holding)


def is_opaque(directory: int | bytes) -> bool:
    """Say whether a directory of a layer hides what the lower layers have in it."""
    try:
        return os.getxattr(directory, OPAQUE_XATTR) == b"y"
    except OSError:
        return False
