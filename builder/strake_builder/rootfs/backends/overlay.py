"""A writable root over unpacked layers, by the kernel's overlay file system.

A step's changes land in a directory of their own, the upper one, so that a snapshot costs what the
step changed. Mounted with `userxattr`, which works inside a user namespace and outside alike, and
`volatile`, which drops the step's fsync calls: a build that is cut short is thrown away anyway.

Source: kernel Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from strake_builder.errors import UnsupportedError
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.mounts import syscalls
from strake_builder.rootfs.stack.layer_stack import seen_layers

_OPTIONS: Final = "userxattr,volatile,index=off,metacopy=off,redirect_dir=nofollow"
_OPTIONS_LIMIT: Final = 4095
"""Bytes. mount(2) takes one page of options."""


class Overlay:
    """Makes snapshots under one directory.

    Args:
        directory: an existing directory, on a file system that overlay takes as its upper one
            (ext4, xfs, btrfs, tmpfs; not overlay itself).
    """

    makes_mounts: Final = True

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._links = os.path.join(directory, "l")
        os.mkdir(self._links)
        self._empty = os.path.join(directory, "empty")
        os.mkdir(self._empty, 0o755)
        self._numbers: dict[str, str] = {}
        self._links_fd = os.open(self._links, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the directory; the snapshots in it are the caller's to remove."""
        os.close(self._links_fd)

    @contextlib.contextmanager
    def mounted(self, layers: Sequence[str], name: str, *, is_read: bool = True) -> Iterator[Snapshot]:
        """As `Snapshotter.mounted`; the kernel writes the layer, read or not."""
        del is_read
        home = os.path.join(self._directory, name)
        upper, work, root = (os.path.join(home, part) for part in ("upper", "work", "root"))
        for path in (home, upper, work, root):
            os.mkdir(path, 0o755)
        lowers = _topmost_first(layers) or (self._empty,)
        if layers:
            _copy_root_metadata(layers[-1], upper)
        with self._mount(lowers, root, upper=upper, work=work):
            yield Snapshot(root, upper, lowers)
        remove_tree(work)

    def adopt(self, root: str, paths: Sequence[bytes]) -> None:
        """As `Snapshotter.adopt`: where steps are mounted in, nothing is renamed."""

    @contextlib.contextmanager
    def view(self, layers: Sequence[str], name: str) -> Iterator[str]:
        """As `Snapshotter.view`, mounted read-only. A single layer needs no mount."""
        lowers = _topmost_first(layers) or (self._empty,)
        if len(lowers) == 1 and not _is_noexec(lowers[0]):
            yield lowers[0]
            return
        if len(lowers) == 1:  # without an upper directory overlay takes no fewer than two
            lowers = (*lowers, self._empty)
        root = os.path.join(self._directory, name)
        os.mkdir(root)
        with self._mount(lowers, root):
            yield root
        os.rmdir(root)

    @contextlib.contextmanager
    def scratch(self, directory: str, name: str) -> Iterator[str]:
        """As `Snapshotter.scratch`."""
        with self.mounted((directory,), name) as snapshot:
            yield snapshot.root

    @contextlib.contextmanager
    def _mount(
        self, lowers: Sequence[str], root: str, *, upper: str | None = None, work: str | None = None
    ) -> Iterator[None]:
        short = ":".join(f"/proc/self/fd/{self._links_fd}/{self._short(lower)}" for lower in lowers)
        options = f"{_OPTIONS},lowerdir={short}"
        if upper and work:
            options += f",upperdir={_escape(upper)},workdir={_escape(work)}"
        if len(os.fsencode(options)) > _OPTIONS_LIMIT:
            raise UnsupportedError(f"{len(lowers)} layers are more than one overlay mount takes")
        flags = syscalls.MS_NODEV | (0 if upper else syscalls.MS_RDONLY)
        try:
            syscalls.mount(b"overlay", os.fsencode(root), b"overlay", flags, os.fsencode(options))
        except OSError as error:
            raise UnsupportedError(
                f"cannot mount an overlay in {self._directory}: {error.strerror}",
                hint="the work directory must be on ext4, xfs, btrfs or tmpfs (in a pod: an emptyDir), "
                "and the builder needs CAP_SYS_ADMIN in its user namespace",
            ) from error
        try:
            yield
        finally:
            syscalls.unmount(os.fsencode(root))

    def _short(self, layer: str) -> str:
        """Return a link to a layer that is short, so that many fit into one page of mount options."""
        with self._lock:
            if layer not in self._numbers:
                number = format(len(self._numbers), "x")
                os.symlink(layer, os.path.join(self._links, number))
                self._numbers[layer] = number
            return self._numbers[layer]


def _topmost_first(layers: Sequence[str]) -> tuple[str, ...]:
    """Return layers (bottom first) in the order of `lowerdir`, each once.

    An image may list a layer twice, and overlay refuses a directory that it has already (ELOOP). The upper
    occurrence is enough: whatever the lower one holds, the upper one holds too and hides, entry by entry, and
    its directories merge with what is between them as before.

    Those that an opaque root hides are left out: overlay does not ask of a layer's root whether it is opaque.
    """
    return seen_layers(tuple(dict.fromkeys(reversed(layers))))


def _copy_root_metadata(layer: str, upper: str) -> None:
    """Give a new upper directory, which replaces the root's mode and owner, those of the lower layers."""
    found = Path(layer).stat()
    os.chown(upper, found.st_uid, found.st_gid)
    os.chmod(upper, found.st_mode & 0o7777)


def _is_noexec(layer: str) -> bool:
    """Say whether no program of a layer can be run where it is: image volumes are mounted so."""
    return bool(os.statvfs(layer).f_flag & os.ST_NOEXEC)


def _escape(path: str) -> str:
    """Return a path as overlay's option parser reads it back."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
