"""Keeps the directories of cache mounts, and says which step has which of them now."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from strake_builder.frontend.model.steps import CacheMount, CacheSharing, FromScratch
from strake_builder.solve.cache_mounts.kept import KeptMounts, mount_tag


class CacheDirectories:
    """Gives steps the directories of their cache mounts. Thread-safe, also between builders.

    Args:
        path: where they are; made if missing.
        kept: brings cache mounts from another machine; None where they stay on this one.
    """

    def __init__(self, path: str, kept: KeptMounts | None) -> None:
        self._path = path
        self._kept = kept
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def held(self, mounts: Sequence[CacheMount]) -> Iterator[HeldCaches]:
        """Hold the caches of one step for the time of the context.

        A cache that the step mounts several times is held once, as its first mount asks for it. Caches that
        are locked are waited for in one order, so that no two steps wait for each other.
        """
        sharing: dict[bytes, CacheSharing] = {}
        for mount in mounts:
            sharing.setdefault(_name(mount), mount.sharing)
        directories: dict[bytes, str] = {}
        with contextlib.ExitStack() as scope:
            for name in sorted(sharing):
                directories[name] = directory = self._directory(name)
                match sharing[name]:
                    case "shared":
                        pass
                    case "locked":
                        scope.enter_context(self._locked(directory))
                    case "private":
                        directories[name] = self._private(directory, scope)
            yield HeldCaches(self, directories)

    def open(self, mount: CacheMount, directory: str, fill: Callable[[str], None]) -> None:
        """Make a directory that a step holds, unless it is there: from what is kept of it, or anew.

        Args:
            mount: its mount.
            directory: that of the cache, or of a variant that ends with the build.
            fill: puts into a new directory what the cache begins with.
        """
        name = _name(mount)
        kept = self._kept if directory == self._directory(name) else None
        with self._lock_of(f"{directory}.new"):
            if not os.path.isdir(directory):
                _make(mount, directory, kept, fill)
            elif kept is not None:
                kept.share(mount_tag(name), merges=mount.sharing == "shared")

    def _directory(self, name: bytes) -> str:
        return os.path.join(self._path, hashlib.sha256(name).hexdigest()[:32])

    @contextlib.contextmanager
    def _locked(self, directory: str) -> Iterator[None]:
        with self._lock_of(directory):
            fd = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)

    def _lock_of(self, name: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())

    def _private(self, directory: str, scope: contextlib.ExitStack) -> str:
        """Return the first variant of a cache that nobody else uses now, and hold it."""
        number = 0
        while True:
            candidate = f"{directory}.{number}" if number else directory
            fd = os.open(f"{candidate}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                number += 1
                continue
            scope.callback(os.close, fd)
            return candidate


class HeldCaches:
    """The caches that one step holds.

    Args:
        caches: has their directories.
        directories: by the caches' names.
    """

    def __init__(self, caches: CacheDirectories, directories: Mapping[bytes, str]) -> None:
        self._caches = caches
        self._directories = directories

    def open(self, mount: CacheMount, fill: Callable[[str], None]) -> str:
        """Return the directory of a mount of the step, made if missing.

        Args:
            mount: one of those that are held.
            fill: puts into a new directory what the cache begins with.
        """
        directory = self._directories[_name(mount)]
        self._caches.open(mount, directory, fill)
        return directory


def _name(mount: CacheMount) -> bytes:
    """Return what tells caches apart.

    As in BuildKit, a cache of one id that is to belong to another, or to be open to others, is another one.
    """
    origin = f"{mount.source!r}{mount.path}" if mount.source != FromScratch() else ""
    owned = f"\0{(mount.uid, mount.gid, mount.mode)}" if _is_owned(mount) else ""
    return f"{mount.id}\0{origin}{owned}".encode(errors="surrogateescape")


def _is_owned(mount: CacheMount) -> bool:
    """Say whether a cache is a new directory of an owner and mode: one with a source is as that one is."""
    return mount.owned and mount.path == "/"


def _make(mount: CacheMount, directory: str, kept: KeptMounts | None, fill: Callable[[str], None]) -> None:
    if kept is not None:
        merges = mount.sharing == "shared"
        restored = kept.restore(mount_tag(_name(mount)), mount.target, directory, merges=merges)
        if restored is not None:
            os.rename(restored, directory)
            return
    os.makedirs(directory)
    if mount.source == FromScratch() or _is_owned(mount):
        os.chown(directory, mount.uid, mount.gid)
        os.chmod(directory, mount.mode & 0o777)
    else:
        fill(directory)
