"""Writes an image's files without the image: into a directory, or into a tar archive.

A directory is for its user, who runs what is in it: whatever the image says, nothing in it belongs to
somebody else, has set-user-ID bits or capabilities, or is a device. An archive tells everything; a user who
unpacks it decides.
"""

from __future__ import annotations

import math
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from strake_builder.errors import BuildError, OutputError
from strake_builder.layers.entry import WHITEOUT_PREFIX
from strake_builder.output.new_file import explained, new_file
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.changes import overlay_changes
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.remove import remove_tree

_PERMISSIONS = 0o1777


def write_tree(
    root: str, path: str, check: Callable[[], None], *, mask: int, epoch: int | None = None
) -> int:
    """Copy an image's files into a directory, which appears when it is whole.

    Args:
        root: the image's root file system, mounted.
        path: the directory; it is not there yet, or empty.
        check: raises when the writing is to stop; called for every file.
        mask: permission bits that the directory itself does not get.
        epoch: modification time of everything, in seconds since 1970; None keeps those of the image.

    Returns:
        How many devices were left out.

    Raises:
        OutputError: it cannot be written, or something is there.
    """
    devices = 0

    def is_device(found: os.stat_result) -> bool:
        nonlocal devices
        check()
        is_one = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
        devices += is_one
        return is_one

    options = CopyOptions(
        owner=(os.getuid(), os.getgid()),
        mode=lambda mode, _: mode & _PERMISSIONS,
        leave_out=is_device,
        mtime_ns=None if epoch is None else epoch * 1_000_000_000,
        xattrs=False,
    )
    with (
        _as_output(path),
        _new_directory(path, mask) as scratch,
        Root(root) as source,
        Root(scratch) as target,
    ):
        copy_path(source, b"/", target, b"/", options)
    return devices


@contextmanager
def _new_directory(path: str, mask: int) -> Iterator[str]:
    """Yield an empty directory whose content is at a path when the context ends without an error.

    Args:
        path: where; nothing is there yet, or an empty directory, which stays what it is: it may be a mount.
        mask: permission bits that it and parents made on the way do not get.

    Raises:
        OutputError: it cannot be made, or something is there.
    """
    path = os.path.abspath(path)
    with explained(path):
        is_there = os.path.lexists(path)
        if is_there and (os.path.islink(path) or not os.path.isdir(path) or os.listdir(path)):
            raise OutputError(
                f"cannot write the files of the image to {path}: it is there and not an empty directory",
                hint="remove it, or name another",
            )
        parent = path if is_there else os.path.dirname(path)
        os.makedirs(parent, 0o777 & ~mask, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=f".{os.path.basename(path)[:60]}.", dir=parent)
        try:
            yield scratch
            if is_there:
                for name in os.listdir(scratch):
                    os.rename(os.path.join(scratch, name), os.path.join(path, name))
            else:
                os.chmod(scratch, 0o777 & ~mask)
                os.rename(scratch, path)
        finally:
            if os.path.isdir(scratch):  # nobody else would remove it
                remove_tree(scratch, patience=math.inf)


def write_tree_archive(
    root: str, path: str, check: Callable[[], None], *, mask: int, epoch: int | None = None
) -> None:
    """Write an image's files to a tar archive, which appears when it is whole.

    Args:
        root: the image's root file system, mounted.
        path: the file, or `STANDARD_OUTPUT`.
        check: raises when the writing is to stop; called again and again.
        mask: permission bits that the file does not get.
        epoch: modification time of everything, in seconds since 1970; None keeps those of the image.

    Raises:
        OutputError: it cannot be written.
    """
    members = overlay_changes(root, (), clamp=None if epoch is None else lambda _: epoch)
    # Without lower layers there is nothing to delete: what looks like overlay's whiteout means nothing.
    wanted = (member for member in members if not member[0].name.startswith(WHITEOUT_PREFIX))
    with _as_output(path), new_file(path, mask) as file:
        for piece in tar_stream(wanted):
            check()
            file.write(piece)


@contextmanager
def _as_output(path: str) -> Iterator[None]:
    """Say of what goes wrong with the files themselves that it is this output that fails.

    Raises:
        OutputError: in place of any other error of the build.
    """
    try:
        yield
    except OutputError:
        raise
    except BuildError as error:
        raise OutputError(f"cannot write the files of the image to {path}: {error.message}") from error
