"""The build's work directory: one that everything is made in and that is gone afterwards.

What a builder leaves that was killed, or had no time (`scratch`), the next build in the same place
removes, with the directory in shared memory that it may have.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from strake_builder.context.own_files import WORKSPACE_PREFIX
from strake_builder.errors import InvalidRequestError
from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.mounts import syscalls
from strake_builder.rootfs.mounts.memory_directory import (
    SECRETS_PREFIX,
    SHARED_MEMORY,
    make_shared_memory,
    mount_memory,
)
from strake_builder.solve.workspace.block_group import quick_directory
from strake_builder.solve.workspace.disk_room import DiskRoom
from strake_builder.solve.workspace.scratch import make_scratch, remove_abandoned
from strake_builder.solve.workspace.work_directory import prepare_work_directory

_PATIENCE: Final = 5.0
"""Seconds for the removal of a workspace after the build was stopped: a pod has 20 in all."""
_MEMORY: Final = "memory"


class Workspace:
    """A directory of one build, removed when the context ends. Thread-safe.

    Nobody else may enter it: images have programs in them that run as root.

    Args:
        parent: where to make it; made where it is missing.
        rootfs: how root file systems are made.
        may_mount: whether the build has mounts of its own, which end with it.
        warn: called with what deserves a look.

    Attributes:
        path: the directory.
        roots: makes root file systems in it.
        room: of its file system.
    """

    def __init__(
        self,
        parent: str,
        *,
        rootfs: RootfsKind = "overlay",
        may_mount: bool = True,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        try:
            parent = prepare_work_directory(parent)
            remove_abandoned(parent, WORKSPACE_PREFIX, _remove_shared_memory)
            self._scratch = make_scratch(parent, WORKSPACE_PREFIX)
            self.path = self._quick_directory()
        except OSError as error:
            raise InvalidRequestError(
                f"cannot make a work directory in {parent}: {error.strerror}",
                hint="choose another with --work-dir",
            ) from error
        self._warn = warn
        self._may_mount = may_mount
        try:
            self.roots = open_snapshotter(rootfs, self.directory("roots"), warn)
        except BaseException:
            self._scratch.remove()
            raise
        self.room = DiskRoom(self.path)
        self._memory: str | None = None
        self._counter = 0
        self._guard = threading.Lock()
        self._open = contextlib.ExitStack()

    def _quick_directory(self) -> str:
        try:
            return quick_directory(self._scratch.path)
        except OSError:
            self._scratch.remove()
            raise

    def directory(self, name: str, mode: int = 0o755) -> str:
        """Make a directory of a name that is not used yet, and return its path."""
        path = os.path.join(self.path, name)
        os.mkdir(path, mode)
        return path

    def new_name(self, kind: str) -> str:
        """Return a name that was not given before."""
        with self._guard:
            self._counter += 1
            return f"{kind}-{self._counter}"

    def memory_directory(self) -> str:
        """Return a directory whose files are in memory only and that nobody else may enter: for secrets.

        Raises:
            UnsupportedError: there is no place in memory without a mount, which `scan` does not make.
        """
        with self._guard:
            if self._memory is None:
                self._memory = self._new_memory_directory()
            return self._memory

    def _new_memory_directory(self) -> str:
        path = os.path.join(self._scratch.path, _MEMORY)
        if not self.roots.makes_mounts:
            shared = make_shared_memory(SECRETS_PREFIX)
            os.symlink(shared, path)
            self._open.callback(remove_tree, shared)
            return shared
        os.mkdir(path, 0o700)
        mount_memory(path)
        self._open.callback(syscalls.unmount, os.fsencode(path))
        return path

    def runtime_directory(self) -> str:
        """Make a directory for the OCI runtime's files, in memory where the kernel lets the builder mount it.

        crun does not notice that half of a file was written, its filter of system calls among them, and on a
        disk that is full it fails without a word. Secrets in a step's environment are among these files, too.
        """
        path = self.directory(self.new_name("run"), 0o700)
        if not self._may_mount:
            return path
        with contextlib.suppress(OSError):
            mount_memory(path)
            self._open.callback(syscalls.unmount, os.fsencode(path))
        return path

    def view(self, layers: tuple[str, ...]) -> str:
        """Return a directory that shows layers (bottom first), to be read until the workspace is closed."""
        context = self.roots.view(layers, self.new_name("view"))
        with self._guard:
            return self._open.enter_context(context)

    def until_closed(self, close: Callable[[], None]) -> None:
        """Have something called when the workspace is closed, before it is removed."""
        with self._guard:
            self._open.callback(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self.roots.close()
        if not self._scratch.remove(_PATIENCE):
            self._warn(f"there was no time to remove {self.path}: the next build in the same place does")


def _remove_shared_memory(workspace: str) -> None:
    """Remove what an abandoned workspace had in shared memory."""
    with contextlib.suppress(OSError):
        directory, name = os.path.split(os.readlink(os.path.join(workspace, _MEMORY)))
        shared = os.path.join(SHARED_MEMORY, name)
        is_ours = directory == SHARED_MEMORY and name.startswith(SECRETS_PREFIX)
        if is_ours and os.stat(shared, follow_symlinks=False).st_uid == os.geteuid():
            remove_tree(shared)
