"""Makes the mount points that a step's mounts need, and takes them away again.

A mount needs something to be mounted on. What the image lacks is made before the step and removed after
it where the step left it empty, so that a layer never shows that something was mounted. BuildKit does the
same.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from strake_builder.rootfs.errors import ParentNotDirectoryError, PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_oci.lazy_dataclass import dataclass

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class MountPoint:
    """Where something will be mounted.

    Attributes:
        target: absolute in the root.
        is_directory: whether it must be a directory.
        follow: whether it may be a link. What the runtime fills by itself may not: crun up to at
            least 1.8 makes the devices of `/dev` by a path that it resolves outside the root.
    """

    target: bytes
    is_directory: bool
    follow: bool = True


@contextlib.contextmanager
def mount_points(root: Root, points: Sequence[MountPoint]) -> Iterator[None]:
    """Make what is missing for the time of the context.

    A point inside another one is left to the runtime: it lies in what is mounted there.

    Raises:
        PathError: a parent is no directory, or a point is a link that must be none.
    """
    made: list[bytes] = []
    times: dict[bytes, tuple[int, int]] = {}
    covered: list[bytes] = []
    for point in points:
        target = b"/" + point.target.strip(b"/")
        if not any(target.startswith(outer + b"/") for outer in covered):
            made += _make(root, point, times)
        covered.append(target)
    try:
        yield
    finally:
        for path in reversed(made):
            _remove_if_untouched(root, path)
        for path, (atime, mtime) in times.items():
            # A directory that was made for one point and held the next is gone again.
            with contextlib.suppress(OSError, PathError), root.directory(path) as fd:
                os.utime(f"/proc/self/fd/{fd}", ns=(atime, mtime))


def _make(root: Root, point: MountPoint, times: dict[bytes, tuple[int, int]]) -> list[bytes]:
    """Make one point and its parents; return what was made and note the times that this changed."""
    if not point.follow:
        _require_directory(root, point.target)
    if root.stat(point.target) is not None:
        return []
    resolved = root.resolve(point.target)
    parent, name = resolved.rpartition(b"/")[::2]
    existing = parent
    while existing and (found := root.stat(existing)) is None:
        existing = existing.rpartition(b"/")[0]
    if (found := root.stat(existing)) is not None:
        times.setdefault(existing, (found.st_atime_ns, found.st_mtime_ns))
    if point.is_directory:
        return root.make_directories(resolved, NewDirectory())
    made = root.make_directories(parent, NewDirectory())
    with root.at(resolved, follow=False) as location:
        os.close(os.open(name, _CREATE, 0o644, dir_fd=location.directory))
    return [*made, resolved]


def _require_directory(root: Root, target: bytes) -> None:
    found = root.stat(target, follow=False)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise ParentNotDirectoryError(
            f"{target.decode()} is a link or a file in this image, and a step needs its own there",
            hint="make it a directory, or leave it out of the base image",
        )


def _remove_if_untouched(root: Root, path: bytes) -> None:
    with contextlib.suppress(OSError, PathError), root.at(path, follow=False) as location:
        if location.stat is None:
            return
        if stat.S_ISDIR(location.stat.st_mode):
            os.rmdir(location.name, dir_fd=location.directory)
        elif stat.S_ISREG(location.stat.st_mode) and not location.stat.st_size:
            os.unlink(location.name, dir_fd=location.directory)
