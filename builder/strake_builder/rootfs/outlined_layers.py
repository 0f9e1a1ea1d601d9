"""Layers of which the files were left out, one on the other.

Overlay stacks the outlines as it stacks the layers, with one difference that would matter: a file hides what
lower layers have in its place, and it is not there to do so. A stack in which one hides a directory or a link
therefore has no outline; it is rare.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Self

from strake_builder import interrupt
from strake_builder.rootfs.copying.deferred import DeferredFile
from strake_builder.rootfs.layer_outline import LayerOutline, WrittenFile, could_be_same
from strake_builder.rootfs.outline import ACCOUNTS, Lowers, UnfitForOutlineError, listed
from strake_builder.rootfs.outlined_stack import OutlinedStack
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.stack.layer_stack import LayerStack
from strake_builder.rootfs.unpack.implicit_parents import read_implicit_parents
from strake_oci.lazy_dataclass import dataclass

_NOTHING: Final = b""


@dataclass(frozen=True, slots=True)
class OutlinedLowers:
    """The lower layers of a step, the lowest of them outlined, from which an outline for the cache is made.

    Attributes:
        layers: the outlines, bottom first.
        above: directories of the layers on them, bottom first.
        lock: for what was noted of the outlines.
    """

    layers: tuple[LayerOutline, ...]
    above: tuple[str, ...]
    lock: AbstractContextManager[object]

    def lowest(self, count: int, upper: str, destination: bytes) -> Lowers:
        """Return the lowest layers, as far as a step met them.

        Args:
            count: how many.
            upper: what the step wrote.
            destination: where it writes.
        """
        above = self.above[: max(0, count - len(self.layers))]
        return OutlinedStack(self.layers[:count], above, listed(upper, destination), self.lock)


class OutlinedLayers:
    """An outline of several layers, as `rootfs.outline.Outline` is one. Thread-safe.

    Args:
        layers: their outlines, bottom first.
        passable: paths that lead through any of them; closed with it.
        lock: for everything that was noted, which stacks of the same layers share.

    Attributes:
        directories: what a step is executed over, bottom first.
        has_accounts: whether users and groups are looked up in it as in the layers themselves.
    """

    def __init__(
        self, layers: Sequence[LayerOutline], passable: DiskMap, lock: AbstractContextManager[object]
    ) -> None:
        self.directories = tuple(layer.directory for layer in layers)
        self.has_accounts = _has_accounts(layers)
        self._layers = tuple(layers)
        self._passable = passable
        self._lock = lock

    @classmethod
    def stack(
        cls,
        layers: Sequence[LayerOutline],
        parents_files: Sequence[str],
        scratch: str,
        lock: AbstractContextManager[object],
    ) -> Self:
        """Put outlines of layers on each other.

        Args:
            layers: their outlines, bottom first.
            parents_files: where the implicit parents of each are noted.
            scratch: a directory on disk, for what is noted.
            lock: held by the caller; later by the stack, when it looks at what was noted.

        Raises:
            UnfitForOutlineError: together the layers have none.
        """
        passable = DiskMap(scratch)
        try:
            for position, layer in enumerate(layers):
                interrupt.check()
                if position:
                    _check_implicit_parents(parents_files[position], layers[:position])
                    _check_files(layer, passable)
                for path in layer.passable:
                    passable.setdefault(path, _NOTHING)
        except BaseException:
            passable.close()
            raise
        return cls(layers, passable, lock)

    def close(self) -> None:
        """Forget what was noted of the stack; the layers are the caller's."""
        self._passable.close()

    def lowers(self, above: Sequence[str]) -> OutlinedLowers:
        """Return the lower layers of a step: these, and directories of those on them, bottom first."""
        return OutlinedLowers(self._layers, tuple(above), self._lock)

    def suffices(self, upper: str, deferred: Iterable[DeferredFile] = ()) -> bool:
        """Say whether a step over the outlines made the layer that it makes over the layers themselves.

        It did, unless it made a directory where a file is, or a file that could be the one that is there.
        That holds for steps that write as COPY does: files are replaced whole, and removed only for others.

        Args:
            upper: what the step wrote.
            deferred: files that it did not write.
        """
        with self._lock:
            return not (self._any_in_doubt(upper) or self._any_deferred_in_doubt(deferred))

    def _any_in_doubt(self, upper: str) -> bool:
        waiting = [b""]
        while waiting:
            parent = waiting.pop()
            with os.scandir(os.path.join(os.fsencode(upper), parent)) as entries:
                for entry in entries:
                    interrupt.check()
                    path = parent + b"/" + entry.name if parent else entry.name
                    if (known := self._known(path)) and _any_same(known, _written(entry)):
                        return True
                    if entry.is_dir(follow_symlinks=False) and self._is_passable(path):
                        waiting.append(path)
        return False

    def _any_deferred_in_doubt(self, files: Iterable[DeferredFile]) -> bool:
        parent, is_known = b"", True
        for file in files:
            interrupt.check()
            directory = file.path.rpartition(b"/")[0]
            if directory != parent:
                parent, is_known = directory, not directory or self._is_passable(directory)
            if is_known and (known := self._known(file.path)):
                written = WrittenFile(file.mode, file.uid, file.gid, file.size, file.mtime_ns)
                if _any_same(known, written):
                    return True
        return False

    def _is_passable(self, directory: bytes) -> bool:
        """Say whether the layers may have a directory. In one that they do not have, all is new."""
        return self._passable.get(directory) is not None

    def _known(self, path: bytes) -> list[bytes]:
        """Return what is known of the files that the layers have at a path."""
        return [found for layer in self._layers if (found := layer.files.get(path)) is not None]


def _any_same(known: Iterable[bytes], written: WrittenFile | None) -> bool:
    return any(could_be_same(each, written) for each in known)


def _written(entry: os.DirEntry[bytes]) -> WrittenFile | None:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        return None
    return WrittenFile(
        stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns
    )


def _check_files(layer: LayerOutline, passable: DiskMap) -> None:
    for path in layer.files:
        if passable.get(path) is not None:
            raise UnfitForOutlineError(f"the file {path!r} hides what lower layers have there")


def _check_implicit_parents(noted: str, lowers: Sequence[LayerOutline]) -> None:
    implied = read_implicit_parents(noted)
    if implied is None:
        return
    if implied.matter([lower.directory for lower in reversed(lowers)]) or _any_file(
        lowers, implied.directories()
    ):
        raise UnfitForOutlineError("a layer takes more for granted than a plain directory")


def _any_file(layers: Sequence[LayerOutline], paths: Iterable[bytes]) -> bool:
    return any(layer.files.get(path) is not None for path in paths for layer in layers)


def _has_accounts(layers: Sequence[LayerOutline]) -> bool:
    if _any_file(layers, ACCOUNTS):
        return False
    stack = LayerStack([layer.directory for layer in reversed(layers)])
    etc = stack.find(b"etc")
    if etc is not None and not stat.S_ISDIR(etc.stat.st_mode):
        return False
    found = [stack.find(path) for path in ACCOUNTS]
    return all(each is None or stat.S_ISREG(each.stat.st_mode) for each in found)
