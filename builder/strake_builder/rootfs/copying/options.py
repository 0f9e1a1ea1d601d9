"""How COPY copies: owners, permissions, times, and what is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_oci.lazy_dataclass import dataclass

Filter = Callable[[bytes, bool], bool]
"""(path relative to the copied directory, is a directory) → whether it is copied."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How things are copied.

    Attributes:
        owner: (uid, gid) of everything made; None keeps the source's.
        mode: turns (the source's permissions, is a directory) into those of the copy; None keeps them.
        keep: which members of a directory are copied; None copies all.
        enter: which directories can hold something that is copied, though they are not themselves.
        selects: which directories patterns take for themselves, not just for something in them; None for all.
            One of the others that is there already takes permissions alone (fsutil, `createParentDirs`).
        mtime_ns: modification time of everything copied; None keeps the source's.
        made_mode: permissions of directories made on the way, the destination included.
        made_owner: (uid, gid) of these; None as for `NewDirectory`.
        leave_out: which members of a directory that are none themselves are left out, by what they are.
        xattrs: copy capabilities and the user's extended attributes.
        deferred: notes files in place of writing them; None where all are written.
    """

    owner: tuple[int, int] | None = None
    mode: Callable[[int, bool], int] | None = None
    keep: Filter | None = None
    enter: Filter | None = None
    selects: Filter | None = None
    mtime_ns: int | None = None
    made_mode: int = 0o755
    made_owner: tuple[int, int] | None = None
    leave_out: Callable[[os.stat_result], bool] | None = None
    xattrs: bool = True
    deferred: DeferredFiles | None = None

    def keeps(self, path: bytes, is_directory: bool) -> bool:
        """Whether a member of a directory is copied."""
        return self.keep is None or self.keep(path, is_directory)

    def enters(self, path: bytes) -> bool:
        """Whether a directory that is not copied may hold something that is."""
        return self.enter is not None and self.enter(path, True)

    def passes(self, path: bytes) -> bool:
        """Whether a directory is only on the way to something that is copied."""
        return self.selects is not None and not self.selects(path, True)

    def owner_of(self, found: os.stat_result) -> tuple[int, int]:
        """Return (uid, gid) of a copy."""
        return self.owner or (found.st_uid, found.st_gid)

    def mode_of(self, found: os.stat_result) -> int:
        """Return the permissions of a copy."""
        mode = stat.S_IMODE(found.st_mode)
        return self.mode(mode, stat.S_ISDIR(found.st_mode)) if self.mode else mode

    def mtime_of(self, found: os.stat_result) -> int:
        """Return the time of modification of a copy in nanoseconds."""
        return found.st_mtime_ns if self.mtime_ns is None else self.mtime_ns

    def new_directory(self) -> NewDirectory:
        """How the destination and its parents are made."""
        return NewDirectory(self.made_mode, self.made_owner, self.mtime_ns)
