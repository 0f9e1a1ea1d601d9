"""The cache mounts of one build: restored when the first step needs one, kept when the build succeeded.

All of it is best effort. What cannot be restored is a warning and an empty mount, what cannot be kept a
warning: the build's image is at its destination by then.

A build that failed keeps nothing: a step that was stopped in the middle may have left half a file, which
every later build would restore. Mounts in a directory of the machine stay as they are, as with BuildKit.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from strake_builder import interrupt
from strake_builder.cache.mounts.listing import Entries, Listed, Listing, Pack, UnsoundListingError
from strake_builder.cache.mounts.merge import to_write, with_packs
from strake_builder.cache.mounts.repository import (
    Change,
    MountRepository,
    Stored,
    TooLargeMountError,
)
from strake_builder.errors import BuildError
from strake_builder.layers.errors import LayerError
from strake_builder.progress.reporter import Reporter
from strake_builder.progress.transfer import Transfer
from strake_builder.progress.transfer_lines import mount_name
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.solve.cache_mounts.packing import pack_stream
from strake_builder.solve.cache_mounts.restore import restore
from strake_builder.solve.cache_mounts.scan import UnkeepableMountError, scan
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.errors import (
    DigestMismatchError,
    NotFoundError,
    OCIError,
    SizeExceededError,
    SizeMismatchError,
)
from strake_oci.spec.digest import Digest
from strake_oci.verify import despite_mirrors

_SPARE: Final = 1 << 30
"""Bytes that packs may have besides four times what a mount may hold: what nobody needs of them any more."""
_TOO_LARGE: Final = (
    "remove what is old in it, or allow more (--cache-mounts-max-size, spec.cache.mounts.maxSize)"
)
_DAMAGE: Final = (
    UnsoundListingError,
    LayerError,
    NotFoundError,
    DigestMismatchError,
    SizeMismatchError,
    SizeExceededError,
)
"""What is wrong with what is kept; all else is wrong with a registry, a disk or a limit."""
_TROUBLE: Final = (
    OCIError,
    OSError,
    BuildError,
    UnsoundListingError,
    UnkeepableMountError,
    TooLargeMountError,
)


@dataclass(slots=True)
class _Used:
    """A mount that a step of this build had.

    Attributes:
        target: where, for messages.
        directory: of its content.
        base: what was restored.
        merges: whether what other builds add meanwhile is kept.
        broken: the manifest that is damaged, so that this build's state replaces it.
        stays: what is kept could not be had now, and is not to be replaced by less.
    """

    target: str
    directory: str
    base: Listing = field(default_factory=Listing)
    merges: bool = True
    broken: Digest | None = None
    stays: bool = False


class KeptMounts:
    """Brings cache mounts from the cache's repository and back. Thread-safe; one for all attempts at a build.

    Args:
        repository: opens the repository that has them, once a mount needs it.
        workspace: where they are unpacked.
        reporter: hears of what is restored and kept, and of what cannot be.
        limit: bytes that a mount may hold.
        writes: whether they are kept.
    """

    def __init__(
        self,
        repository: Callable[[], MountRepository],
        workspace: Workspace,
        reporter: Reporter,
        *,
        limit: int = 0,
        writes: bool = True,
    ) -> None:
        self._open = repository
        self._opened: MountRepository | None = None
        self._workspace = workspace
        self._reporter = reporter
        self._limit = limit
        self._writes = writes
        self._lock = threading.Lock()
        self._used: dict[str, _Used] = {}

    @property
    def _repository(self) -> MountRepository:
        """The repository, opened with the first mount: few builds have one."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def restore(self, key: str, target: str, directory: str, *, merges: bool) -> str | None:
        """Return a new directory with what is kept of a mount, None where nothing is or can be had.

        Args:
            key: names the mount in the repository.
            target: where the step has it.
            directory: where the caller will put the content.
            merges: whether several builds may have it at once, and what each adds is kept.
        """
        repository = self._repository
        used = _Used(target, directory, merges=merges)
        with self._lock:
            self._used[key] = used
        made: list[str] = []
        stored: Stored | None = None
        try:
            stored = repository.fetch(key)
            if stored is None:
                return None
            if stored.listing is None:
                raise UnsoundListingError(stored.why)
            self._refuse_large(stored.listing)
            path, pulled = despite_mirrors(lambda: self._unpack(stored.listing or Listing(), target, made))
        except _TROUBLE as error:
            for each in made:
                with contextlib.suppress(OSError):  # the work directory ends with the build
                    remove_tree(each)
            interrupt.check()  # a build that is stopped tells why itself
            if isinstance(error, _DAMAGE):
                used.broken = stored.digest if stored else None
            else:
                used.stays = not merges
            self._warn("restored; the step has an empty one", target, error)
            return None
        used.base = stored.listing
        self._reporter.cache_mount("restored", target, stored.listing.size, stored.listing.files, pulled)
        return path

    def _unpack(self, listing: Listing, target: str, made: list[str]) -> tuple[str, int]:
        """Unpack what is kept into a new directory; return it, and the bytes that came."""
        path = self._workspace.directory(self._workspace.new_name("mount"))
        made.append(path)
        total = sum(pack.size for pack in listing.packs)
        came = Transfer(lambda done: self._reporter.pulled(mount_name(target), min(done, total - 1), total))
        restore(listing, path, lambda pack: self._repository.open_pack(pack, came))
        return path, total

    def _refuse_large(self, listing: Listing) -> None:
        if listing.size > self._limit or sum(pack.plain for pack in listing.packs) > 4 * self._limit + _SPARE:
            raise TooLargeMountError(f"it holds {listing.size:,} bytes, and may hold {self._limit:,}")

    def share(self, key: str, *, merges: bool) -> None:
        """Note that another step has a mount; once it is to be one build's at a time, it stays so."""
        with self._lock:
            if key in self._used:
                self._used[key].merges = self._used[key].merges and merges

    def keep(self) -> None:
        """Keep every mount that steps changed. The image is made: what fails here is a warning."""
        if not self._writes:
            return
        for key, used in self._used.items():
            if used.stays:
                continue
            try:
                self._keep(key, used)
            except _TROUBLE as error:
                self._warn("kept", used.target, error)

    def _keep(self, key: str, used: _Used) -> None:
        entries = with_packs(scan(used.directory, self._limit), used.base)
        if _is_as(entries, used.base.entries) or (len(entries) == 1 and not used.base.entries):
            return  # nothing changed, or nothing is in it
        sent = Transfer(lambda done: self._reporter.pushing(mount_name(used.target), None, done, None))
        new: list[Pack] = []
        with Root(used.directory) as root:
            for paths in to_write(entries, used.base):
                pack = self._repository.write_pack(pack_stream(root, paths, entries), sent)
                new.append(pack)
                entries |= {path: _in_pack(entries[path], pack) for path in paths}
        kept = self._repository.put(
            key, Change(used.base, entries, tuple(new), used.merges, self._limit, used.broken)
        )
        pushed = sum(pack.size for pack in new)
        self._reporter.cache_mount("kept", used.target, kept.size, kept.files, pushed)

    def _warn(self, what: str, target: str, error: Exception) -> None:
        reason = error.message if isinstance(error, OCIError | BuildError) else str(error)
        if isinstance(error, OSError):
            reason = error.strerror or "the disk refused"
        if isinstance(error, TooLargeMountError):
            reason = f"{reason}; {_TOO_LARGE}"
        self._reporter.warn(f"the cache mount {target} cannot be {what}: {reason}")


def mount_tag(name: bytes) -> str:
    """Return the tag of a mount in its repository, by what tells it from others.

    It has the form of a cache key, which is what a build may write to its cache's repository, and is none.
    """
    return hashlib.sha256(b"strake cache mount v1\0" + name).hexdigest()


def _is_as(entries: Entries, before: Entries) -> bool:
    same = (each.is_as(before.get(path)) for path, each in entries.items())
    return entries.keys() == before.keys() and all(same)


def _in_pack(file: Listed, pack: Pack) -> Listed:
    return Listed(file.kind, file.mode, file.uid, file.gid, file.size, file.mtime_ns, pack=pack.digest)
