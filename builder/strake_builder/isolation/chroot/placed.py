"""Puts what a RUN mounts into a step's root without a mount: by renaming, copying or linking it.

    a cache, a scratch bind, /etc/hosts     renamed to its target and back; a link if it is on a volume
    a cache that has a target already       a link to that target
    a read-only bind, a heredoc's script    a copy, which the step could write to, in vain
    a secret, an agent's socket             a link to where it is, so that a secret is never on a disk
    tmpfs                                   an empty directory
    a device                                nothing: the container's /dev is there

What was at the target is put aside and comes back. A directory that something is put into keeps its time of
modification, so that the step's layer does not show it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from strake_builder.errors import StepError, UnsupportedError
from strake_builder.isolation.chroot.hidden import elsewhere
from strake_builder.isolation.chroot.renamed import Renamed, same_times
from strake_builder.rootfs.copying.copy import copy_whole
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory, ResolvedPath
from strake_builder.rootfs.files.remove import remove_entry
from strake_builder.rootfs.mounts.memory_directory import SECRETS_PREFIX, SHARED_MEMORY
from strake_builder.sandbox.process import Bind, Device, SandboxMount, Tmpfs

_SECRETS: Final = f"{SHARED_MEMORY}/{SECRETS_PREFIX}"
_OLD: Final = b".strake-%d"


@contextlib.contextmanager
def placed(
    mounts: Sequence[SandboxMount], root_path: str, renamed: Renamed, *, shares_root: bool
) -> Iterator[None]:
    """Put mounts into a root for the time of the context.

    Args:
        mounts: in order.
        root_path: the step's root.
        renamed: notes what is put aside.
        shares_root: whether the step sees the builder's paths, so that a link to one leads somewhere.

    Raises:
        UnsupportedError: a mount needs a link, and the step could not follow it.
        StepError: a volume is where a mount is to be.
        PathError: a target cannot be made.
    """
    moved: dict[str, bytes] = {}
    with Root(root_path) as root, contextlib.ExitStack() as scope:
        for number, mount in enumerate(mounts):
            match mount:
                case Device():
                    continue
                case Bind() | Tmpfs():
                    old = _OLD % number
                    scope.enter_context(_placed(root, mount, old, renamed, moved, shares_root=shares_root))
                case _:
                    assert_never(mount)
        yield


@contextlib.contextmanager
def _placed(
    root: Root,
    mount: Bind | Tmpfs,
    old: bytes,
    renamed: Renamed,
    moved: dict[str, bytes],
    *,
    shares_root: bool,
) -> Iterator[None]:
    """Put one mount into a root; `moved` has where the sources are that were renamed."""
    target = root.resolve(mount.target.encode(errors="surrogateescape"))
    with root.at(target, follow=False, create=NewDirectory()) as location:
        parent = location.directory
        with same_times(location.directory):
            if location.stat is not None:
                _put_aside(location, old)
                renamed.away(location.path, parent, old)
            is_renamed = _put(mount, root, location, moved, shares_root=shares_root)
        try:
            yield
        finally:
            with same_times(location.directory):
                if is_renamed and isinstance(mount, Bind):
                    _bring_back(location, mount)
                remove_entry(parent, location.name)
                # What was put aside is gone with the directory that it was in, if the step removed that.
                with contextlib.suppress(FileNotFoundError):
                    if location.stat is not None:
                        renamed.back(location.path, parent, old)
                        os.rename(old, location.name, src_dir_fd=parent, dst_dir_fd=parent)


def _put_aside(location: ResolvedPath, name: bytes) -> None:
    try:
        os.rename(location.name, name, src_dir_fd=location.directory, dst_dir_fd=location.directory)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shown = os.fsdecode(location.path)
        raise StepError(
            f"the mount at /{shown} cannot be had here: in the builder's container a volume is there, which"
            " nothing takes away where nothing can be mounted",
            hint=elsewhere(shown),
        ) from error


def _put(
    mount: Bind | Tmpfs, root: Root, location: ResolvedPath, moved: dict[str, bytes], *, shares_root: bool
) -> bool:
    """Put something where nothing is; say whether it was renamed."""
    if isinstance(mount, Tmpfs):
        os.mkdir(location.name, dir_fd=location.directory)
        os.chmod(location.name, mount.mode, dir_fd=location.directory)
        return False
    if mount.source in moved:
        os.symlink(b"/" + moved[mount.source], location.name, dir_fd=location.directory)
        return False
    found = os.stat(mount.source, follow_symlinks=False)
    if stat.S_ISSOCK(found.st_mode) or os.path.realpath(mount.source).startswith(_SECRETS):
        _link(mount, location, shares_root=shares_root)
        return False
    if mount.read_only:
        with Root(os.path.dirname(mount.source)) as source:
            name = os.fsencode(os.path.basename(mount.source))
            copy_whole(source, name, root, b"/" + location.path)
        return False
    try:
        os.rename(mount.source, location.name, dst_dir_fd=location.directory)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EBUSY}:
            raise
        _link(mount, location, shares_root=shares_root)
        return False
    moved[mount.source] = location.path
    if not mount.is_file:
        _leave(mount.source, found)
    return True


def _link(mount: Bind, location: ResolvedPath, *, shares_root: bool) -> None:
    if not shares_root:
        raise UnsupportedError(
            f"the mount at {mount.target} cannot be had where nothing can be mounted",
            hint="use Strake's builder image, whose root is free for the step, or --isolation nested",
        )
    source = os.path.realpath(mount.source)
    if source.startswith(_SECRETS):
        # The file's own mode decides who may read it, so the directory lets everybody through.
        os.chmod(os.path.dirname(source), 0o711)
    os.symlink(source, location.name, dir_fd=location.directory)


def _leave(source: str, found: os.stat_result) -> None:
    """Put an empty directory where one was: a step that gets ready meanwhile must not make the cache anew."""
    os.mkdir(source)
    os.chown(source, found.st_uid, found.st_gid)
    os.chmod(source, stat.S_IMODE(found.st_mode))


def _bring_back(location: ResolvedPath, mount: Bind) -> None:
    """Rename what the step wrote to back to where it is kept; a directory that the step removed is empty."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(location.name, mount.source, src_dir_fd=location.directory)
