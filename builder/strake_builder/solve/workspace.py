"""The build's place on disk: one directory that everything is made in and that is gone afterwards.

A builder that was killed cannot tidy up after itself. Every workspace holds a lock for as long as its
process lives, so that the next build in the same place sees what is abandoned and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
from types import TracebackType
from typing import Final, Self

from strake_builder.errors import InvalidRequest
from strake_builder.rootfs import syscalls
from strake_builder.rootfs.overlay import Overlay
from strake_builder.rootfs.remove import remove_tree

_PREFIX: Final = "strake-build-"
_LOCK: Final = "lock"


class Workspace:
    """A directory of one build, removed when the context ends. Thread-safe.

    Args:
        parent: where to make it; made where it is missing.

    Attributes:
        path: the directory.
        overlay: makes root file systems in it.
    """

    def __init__(self, parent: str) -> None:
        try:
            os.makedirs(parent, mode=0o755, exist_ok=True)
            _remove_abandoned(parent)
            self.path = os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError as error:
            raise InvalidRequest(
                f"cannot make a work directory in {parent}: {error.strerror}",
                hint="choose another with --work-dir",
            ) from error
        self._lock_fd = _take_lock(self.path)
        os.chmod(self.path, 0o755)
        self.overlay = Overlay(self.directory("roots"))
        self._counter = 0
        self._guard = threading.Lock()
        self._open = contextlib.ExitStack()

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
        """Return a directory whose files are in memory only and that nobody else may enter: for secrets."""
        path = os.path.join(self.path, "memory")
        with self._guard:
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                options = b"mode=0700,size=64m"
                syscalls.mount(
                    b"tmpfs", os.fsencode(path), b"tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, options
                )
                self._open.callback(syscalls.unmount, os.fsencode(path))
        return path

    def view(self, layers: tuple[str, ...]) -> str:
        """Mount layers (bottom first) read-only until the workspace is closed; return where."""
        context = self.overlay.view(layers, self.new_name("view"))
        with self._guard:
            return self._open.enter_context(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self.overlay.close()
        remove_tree(self.path)
        os.close(self._lock_fd)


def _take_lock(directory: str) -> int:
    fd = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _remove_abandoned(parent: str) -> None:
    """Remove workspaces whose process is gone: their locks can be had."""
    with os.scandir(parent) as entries:
        candidates = [
            e.path for e in entries if e.name.startswith(_PREFIX) and e.is_dir(follow_symlinks=False)
        ]
    for path in candidates:
        try:
            fd = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # not a workspace, or one that is being made this very moment
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(path)
        finally:
            os.close(fd)
