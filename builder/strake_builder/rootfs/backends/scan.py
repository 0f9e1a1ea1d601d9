"""A writable root without any mount: layers copied together, and every file looked at after the step.

For where the kernel or its policy refuses overlay. What it costs: a copy of the base for each
chain of steps (shared blocks, where the file system has reflinks), and for each step a look at every
file. A root outlives its step: the next one takes it over if its layers are those that the root
holds, or on these and more, which are then added. So a stage copies its base once. Readers
share a root, which nobody takes over while it is read. A step over nothing needs no
copy: its root is its layer.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.diff.differences import check_first_layer, write_differences
from strake_builder.rootfs.diff.tree_state import TreeState, await_later_times, record_tree
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.stack.materialise import apply_layer


@dataclass(slots=True, eq=False)
class _Tree:
    """A root that no step uses now.

    Attributes:
        path: the directory.
        holds: the layers in it, bottom first.
        state: what it looks like; None where that is not known.
        readers: how many views show it.
    """

    path: str
    holds: tuple[str, ...]
    state: TreeState | None = None
    readers: int = 0


class Scan:
    """Makes snapshots under one directory.

    Args:
        directory: an existing directory.
    """

    makes_mounts: Final = False

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._trees: list[_Tree] = []
        self._watched: dict[str, TreeState] = {}
        self._deferred: list[DeferredFiles] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget every root; the directories are the caller's to remove."""
        for tree in self._trees:
            if tree.state is not None:
                tree.state.close()
        self._trees.clear()
        for deferred in self._deferred:
            deferred.close()

    @contextlib.contextmanager
    def mounted(self, layers: Sequence[str], name: str, *, is_read: bool = True) -> Iterator[Snapshot]:
        """As `Snapshotter.mounted`. What nothing else reads is not copied out of its root.

        Raises:
            StepError: the step made something that no layer can hold.
        """
        wanted = tuple(layers)
        home = os.path.join(self._directory, name)
        upper = os.path.join(home, "upper")
        for path in (home, upper):
            os.mkdir(path, 0o755)
        if not wanted:
            yield Snapshot(upper, upper, ())
            check_first_layer(upper)
            return
        tree = self._take_over(wanted) or self._new(os.path.join(home, "root"))
        deferred = None if is_read else self._defer(home, tree.path)
        try:
            with _brought_up_to(tree, wanted, home) as before:
                await_later_times(home, before.record.newest)
                self._watched[tree.path] = before
                yield Snapshot(tree.path, upper, tuple(reversed(wanted)), deferred)
                tree.state = write_differences(tree.path, before, upper, home, deferred)
        except BaseException:
            remove_tree(tree.path)
            raise
        finally:
            self._watched.pop(tree.path, None)
        tree.holds = (*wanted, upper)
        with self._lock:
            self._trees.append(tree)

    def _defer(self, scratch: str, tree: str) -> DeferredFiles:
        deferred = DeferredFiles(scratch, passing=tree)
        with self._lock:
            self._deferred.append(deferred)
        return deferred

    def adopt(self, root: str, paths: Sequence[bytes]) -> None:
        """As `Snapshotter.adopt`."""
        with self._lock:
            before = self._watched.get(root)
        if before is not None:
            for path in paths:
                before.adopt(root, path)

    @contextlib.contextmanager
    def view(self, layers: Sequence[str], name: str) -> Iterator[str]:
        """As `Snapshotter.view`. A single layer needs no copy."""
        if len(layers) == 1:
            yield layers[0]
            return
        wanted = tuple(layers)
        tree = self._share(wanted)
        if tree is None:
            tree = self._new(os.path.join(self._directory, name))
            _add_layers(tree, wanted)
            tree.readers = 1
            with self._lock:
                self._trees.append(tree)
        try:
            yield tree.path
        finally:
            with self._lock:
                tree.readers -= 1

    @contextlib.contextmanager
    def scratch(self, directory: str, name: str) -> Iterator[str]:
        """As `Snapshotter.scratch`."""
        tree = self._new(os.path.join(self._directory, name))
        try:
            apply_layer(directory, tree.path)
            yield tree.path
        finally:
            remove_tree(tree.path)

    def _take_over(self, wanted: tuple[str, ...]) -> _Tree | None:
        """Return the root that lacks the fewest of some layers and has no other, for one step alone."""
        with self._lock:
            fitting = [t for t in self._trees if not t.readers and t.holds == wanted[: len(t.holds)]]
            tree = max(fitting, key=lambda t: len(t.holds), default=None)
            if tree is not None:
                self._trees.remove(tree)
            return tree

    def _share(self, wanted: tuple[str, ...]) -> _Tree | None:
        with self._lock:
            tree = next((t for t in self._trees if t.holds == wanted), None)
            if tree is not None:
                tree.readers += 1
            return tree

    @staticmethod
    def _new(path: str) -> _Tree:
        os.mkdir(path, 0o755)
        return _Tree(path, ())


def _brought_up_to(tree: _Tree, wanted: tuple[str, ...], scratch: str) -> TreeState:
    """Add the layers that a root lacks, and return what it looks like, which is the caller's to close."""
    state, tree.state = tree.state, None
    if state is not None:
        if tree.holds == wanted:
            return state
        state.close()
    _add_layers(tree, wanted)
    return record_tree(tree.path, scratch)


def _add_layers(tree: _Tree, wanted: tuple[str, ...]) -> None:
    for layer in wanted[len(tree.holds) :]:
        apply_layer(layer, tree.path)
    tree.holds = wanted
