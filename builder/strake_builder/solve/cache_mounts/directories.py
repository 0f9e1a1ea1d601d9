"""Keeps the directories of cache mounts, and says which step has which of them now."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from strake_builder.file_lock import locked_file, try_lock
from strake_builder.frontend.model.steps import CacheMount, FromScratch
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.solve.cache_mounts.kept import KeptMounts, mount_tag


class CacheDirectories:
    """Gives steps the directories of their cache mounts. Thread-safe, also between builders.

    Args:
        path: where they are; made if missing.
        kept: brings cache mounts from another machine; None where they stay on this one.
        warn: called with a message when a step waits for a cache.
    """

    def __init__(self, path: str, kept: KeptMounts | None, warn: Callable[[str], None]) -> None:
        self._path = path
        self._kept = kept
        self._warn = warn
        os.makedirs(path, mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def held(self, mounts: Sequence[CacheMount]) -> Iterator[HeldCaches]:
        """Hold the caches of one step for the time of the context.

        A cache that the step mounts several times is held once, as its first mount asks for it. Caches that
        are locked are waited for in one order, so that no two steps wait for each other.
        """
        first: dict[bytes, CacheMount] = {}
        for mount in mounts:
            first.setdefault(_name(mount), mount)
        directories: dict[bytes, str] = {}
        with contextlib.ExitStack() as scope:
            for name in sorted(first):
                directories[name] = directory = self._directory(name)
                match first[name].sharing:
                    case "shared":
                        pass
                    case "locked":
                        waits = partial(self._waits, first[name])
                        scope.enter_context(locked_file(_lock_file(directory), waits))
                    case "private":
                        directories[name] = _private(directory, scope)
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
        with locked_file(f"{directory}.making", partial(self._waits, mount)):
            if os.path.isdir(directory):
                if kept is not None:
                    kept.share(mount_tag(name), merges=mount.sharing == "shared")
            elif kept is None or not _restore(mount, directory, kept):
                _make(mount, directory, fill)

    def _directory(self, name: bytes) -> str:
        return os.path.join(self._path, hashlib.sha256(name).hexdigest()[:32])

    def _waits(self, mount: CacheMount) -> None:
        self._warn(
            f"the RUN with a cache at {mount.target} waits for another step or build that has the cache"
        )


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


def _restore(mount: CacheMount, directory: str, kept: KeptMounts) -> bool:
    """Make the directory of a cache from what is kept of it; return whether there is anything."""
    merges = mount.sharing == "shared"
    restored = kept.restore(mount_tag(_name(mount)), mount.target, directory, merges=merges)
    if restored is not None:
        os.rename(restored, directory)
    return restored is not None


def _make(mount: CacheMount, directory: str, fill: Callable[[str], None]) -> None:
    """Make the directory of a new cache, which has its name once it is whole."""
    new = f"{directory}.new"
    if os.path.exists(new):  # of a builder that was killed
        remove_tree(new)
    os.mkdir(new)
    if mount.source == FromScratch() or _is_owned(mount):
        os.chown(new, mount.uid, mount.gid)
        os.chmod(new, mount.mode & 0o777)
    else:
        fill(new)
    os.rename(new, directory)


def _lock_file(directory: str) -> str:
    return f"{directory}.lock"


def _private(directory: str, scope: contextlib.ExitStack) -> str:
    """Return the first variant of a cache that nobody else uses now, and hold it."""
    for number in itertools.count():
        candidate = f"{directory}.{number}" if number else directory
        fd = os.open(_lock_file(candidate), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if try_lock(fd):
            scope.callback(os.close, fd)
            return candidate
        os.close(fd)
    raise AssertionError("numbers do not end")
