"""What makes root file systems for steps, and what a step's root goes through.

A *layer* is a directory in overlay's form: what it adds, a character device 0/0 for each path that it
takes away (a whiteout), `user.overlay.opaque` on each directory that hides what lies below. It is written
once and never changed again. A *root* is what a step sees: layers stacked, the lowest first. A *snapshot*
is a root that can be written to, with its changes kept apart.

    layers ──mounted()──▶ root ──the step writes──▶ the context ends ──▶ upper: a layer ──changes()──▶ tar
      ▲                                                                   │
      └───────────────────── below the next step's root ◀─────────────────┘

The life of a snapshot:

1. `mounted` makes the root over its layers. It belongs to one step.
2. Inside the context the root is written to; `upper` means nothing yet.
3. When the context ends without an error the root is gone for the caller, no process of the step is left,
   and `upper` is a layer: what the step changed, nothing else. After an error there is none.
4. `changes` reads `upper` and its lower layers, as often as wanted and from any thread, also while the
   next step runs over it.

Directories in which all this lies belong to the caller, who removes them after `close`.

Two ways of doing it: `overlay` lets the kernel stack layers and costs what the step changes; `scan` makes no
mount, copies layers together and looks at every file afterwards. What they yield is the same but for
one thing that is the kernel's: overlay parts the names of a file (hard links) of a lower layer when it
is written to under one of them, as every image builder on overlay does; in a plain directory they
stay one file, and the layer has all its names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.diff.change import Change
from strake_builder.rootfs.diff.changes import Clamp, Passed, overlay_changes
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A writable root whose changes are kept apart.

    Attributes:
        root: where it is; valid inside `Snapshotter.mounted`.
        upper: the directory that holds the changes afterwards, a layer.
        lowers: the lower layers, topmost first.
        deferred: files that belong to the changes and were not written.
    """

    root: str
    upper: str
    lowers: tuple[str, ...]
    deferred: DeferredFiles | None = None

    def changes(
        self,
        clamp: Clamp | None = None,
        passed: Passed | None = None,
        left_out: frozenset[bytes] = frozenset(),
    ) -> Iterator[Change]:
        """Yield what was changed; call it when the root is mounted no more. See `overlay_changes`."""
        return overlay_changes(
            self.upper, self.lowers, clamp=clamp, passed=passed, left_out=left_out, deferred=self.deferred
        )

    def unread(self) -> Iterator[bytes]:
        """Yield paths in the lower layers that `changes` does not read.

        They are what a lower layer has at its root under a name that the upper directory has not: what was
        changed is compared with what was of the same path.
        """
        names = set(os.listdir(os.fsencode(self.upper)))
        for lower in map(os.fsencode, self.lowers):
            yield from (os.path.join(lower, name) for name in os.listdir(lower) if name not in names)


class Snapshotter(Protocol):
    """Makes roots out of layers. Thread-safe. Layers are given bottom first; none at all is an empty root."""

    @property
    def makes_mounts(self) -> bool:
        """Whether it needs mounts, and so the right to make some."""
        ...

    def mounted(
        self, layers: Sequence[str], name: str, *, is_read: bool = True
    ) -> AbstractContextManager[Snapshot]:
        """Make a new writable root over layers for the time of the context.

        Args:
            layers: directories.
            name: a directory name that nothing else has.
            is_read: whether anything else than `changes` reads the layer that becomes of it.

        Raises:
            UnsupportedError: it cannot be made here, with what to change.
            OSError: the file system refused, for example because it is full.
        """
        ...

    def adopt(self, root: str, paths: Sequence[bytes]) -> None:
        """Take what is at paths of a mounted root for unchanged: the builder renamed it, to and fro.

        Args:
            root: of a snapshot whose context has not ended.
            paths: relative to it.
        """
        ...

    def view(self, layers: Sequence[str], name: str) -> AbstractContextManager[str]:
        """Yield a directory that shows layers, to be read and never written to, in the context.

        Raises:
            UnsupportedError: as `mounted`.
            OSError: as `mounted`.
        """
        ...

    def scratch(self, directory: str, name: str) -> AbstractContextManager[str]:
        """Yield something that looks like a directory and can be written to; what is written is lost.

        Raises:
            UnsupportedError: as `mounted`.
            OSError: as `mounted`.
        """
        ...

    def close(self) -> None:
        """Let go of everything held open. Contexts must have ended; once is enough."""
        ...
