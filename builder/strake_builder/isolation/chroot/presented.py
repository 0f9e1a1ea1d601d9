"""Moves a step's tree to the container's root for the time of the step, by renaming what is in both.

    /                      before      during the step       after
    /etc, /tmp, …          container   the tree's            container
    HOME/aside/N/                      the container's
    HOME/work/…/root/      the tree    what HOME hides       the tree

/proc, /dev, /sys and HOME stay. Volumes stay, too: without the right to mount, nothing takes them away, so
a step sees them. A tree that has more of the same name than an empty directory cannot be presented: `hidden`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

from strake_builder.errors import StepError, UnsupportedError
from strake_builder.file_lock import locked_file
from strake_builder.isolation.chroot.container_root import HOME, KEPT
from strake_builder.isolation.chroot.hidden import hidden, unwritten
from strake_builder.isolation.chroot.in_sight import kept_in_sight
from strake_builder.isolation.chroot.renamed import Renamed
from strake_builder.rootfs.files.remove import remove_tree

ASIDE: Final = f"{HOME}/aside"
_MOVED: Final = "container"
_TREE: Final = "tree"
_STAYING: Final = "staying"
_LOCK: Final = "lock"
_WAITS: Final = "the RUN waits: another build in this container has its root, which one step has at a time"
_MANY: Final = 1000
_LARGE: Final = 16 << 20


@contextlib.contextmanager
def presented(
    tree: str,
    in_use: Sequence[str],
    renamed: Renamed,
    warn: Callable[[str], None],
    root: str = "/",
    works_in: str = "/",
    in_sight: Sequence[str] = (),
) -> Iterator[str]:
    """Show a tree at the container's root for the time of the context; one at a time in a container.

    Args:
        tree: a directory on the root's file system.
        in_use: absolute paths that the builder works with; they stay, and the step sees them.
        renamed: notes what is moved.
        warn: called with a message about the volumes that the step sees.
        root: the container's root.
        works_in: the step's working directory.
        in_sight: absolute paths that others in the container use; see `kept_in_sight`.

    Raises:
        StepError: a volume, or what the builder works with, would hide something of the tree, or of what the
            step wrote.
        UnsupportedError: the tree is on another file system.
    """
    os.makedirs(ASIDE, mode=0o700, exist_ok=True)
    with _root_locked(partial(warn, _WAITS)):
        restore_all(root)
        aside = tempfile.mkdtemp(prefix="step-", dir=ASIDE)
        try:
            covered = _present(tree, _top_names(in_use), aside, warn, root, works_in)
            moved = [name for name in os.listdir(os.fsencode(root)) if name not in KEPT]
            for name in moved:
                renamed.away(name, None, os.path.join(os.fsencode(root), name))
            top, container = os.fsencode(root), os.path.join(os.fsencode(aside), _MOVED.encode())
            with unwritten(os.fsencode(tree), top, covered), kept_in_sight(top, container, in_sight):
                yield root
            for name in set(moved).intersection(os.listdir(os.fsencode(root))):
                renamed.back(name, None, os.path.join(os.fsencode(root), name))
        finally:
            restore(aside, root)


def _present(
    tree: str, in_use: frozenset[bytes], aside: str, warn: Callable[[str], None], root: str, works_in: str
) -> list[bytes]:
    """Put a tree in the container's place; return the names that the container keeps of it."""
    os.mkdir(os.path.join(aside, _MOVED))
    os.symlink(tree, os.path.join(aside, _TREE))
    top = os.fsencode(root)
    staying = _clear(top, os.path.join(os.fsencode(aside), _MOVED.encode()), in_use)
    covered = hidden(os.fsencode(tree), staying, os.fsencode(works_in))
    _check(os.fsencode(tree))
    shown = ", ".join(sorted(f"/{os.fsdecode(name)}" for name in staying))
    if shown:
        warn(
            f"RUN steps see {shown} of the builder's container, and what they write there is no part of"
            " the image: the isolation chroot has no mounts that could hide volumes"
        )
    Path(aside, _STAYING).write_bytes(b"\0".join(staying))
    _move_all(os.fsencode(tree), top, staying)
    return covered


def restore(aside: str, root: str = "/") -> None:
    """Bring a tree back from the container's root, and what the container has there.

    Also for what a builder that was killed left behind: what is done already is not done again.
    """
    top, staying = os.fsencode(root), Path(aside, _STAYING)
    if staying.exists():  # else the tree was not moved yet
        tree = os.fsencode(os.readlink(os.path.join(aside, _TREE)))
        os.makedirs(tree, exist_ok=True)
        _move_all(top, tree, frozenset(staying.read_bytes().split(b"\0")))
        staying.unlink()
    moved = os.path.join(aside, _MOVED)
    if os.path.isdir(moved):
        _move_all(os.fsencode(moved), top, frozenset())
    remove_tree(aside)


def restore_all(root: str = "/") -> None:
    """Bring back what builders that were killed left at the container's root, which is locked."""
    for name in os.listdir(ASIDE):
        if name != _LOCK:
            restore(os.path.join(ASIDE, name), root)


def tidy_root() -> None:
    """Bring the container's root back after a builder that was killed."""
    if os.path.isdir(ASIDE):
        with _root_locked(lambda: None):  # at the start of a build, where nothing takes a warning yet
            restore_all()


def _root_locked(waits: Callable[[], None]) -> AbstractContextManager[None]:
    """Have the container's root alone: other builds may run in the same container."""
    return locked_file(os.path.join(ASIDE, _LOCK), waits)


def _top_names(paths: Sequence[str]) -> frozenset[bytes]:
    return frozenset(os.fsencode(path).split(b"/")[1] for path in paths) - KEPT


def _clear(top: bytes, aside: bytes, in_use: frozenset[bytes]) -> frozenset[bytes]:
    """Move aside what the container has at its root; return the names that stay."""
    staying = set(_volumes(top) | in_use)
    for name in set(os.listdir(top)) - KEPT - staying:
        if not _move(os.path.join(top, name), os.path.join(aside, name)):
            staying.add(name)
    return frozenset(staying)


def _move(source: bytes, target: bytes) -> bool:
    """Move something of the container's, and say whether that could be done.

    Overlay renames a directory only where it is wholly in the upper layer. A small one of the container's
    image is copied: afterwards it is in the upper layer.
    """
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EBUSY}:
            raise
        if error.errno == errno.EBUSY or not _is_small(source):
            return False
        shutil.copytree(os.fsdecode(source), os.fsdecode(target), symlinks=True)
        shutil.rmtree(source)
    return True


def _is_small(directory: bytes) -> bool:
    entries = size = 0
    for path, directories, files in os.walk(directory):
        entries += len(directories) + len(files)
        size += sum(os.lstat(os.path.join(path, name)).st_size for name in files)
        if (
            entries > _MANY
            or size > _LARGE
            or any(os.path.ismount(os.path.join(path, d)) for d in directories)
        ):
            return False
    return True


def _check(tree: bytes) -> None:
    if HOME[1:].encode() in os.listdir(tree):
        raise StepError(
            f"the step's image has {HOME}, which is the builder's own directory",
            hint="run the builder with --isolation nested, or use another directory in the image",
        )


def _move_all(source: bytes, target: bytes, staying: frozenset[bytes]) -> None:
    for name in set(os.listdir(source)) - KEPT - staying:
        try:
            os.rename(os.path.join(source, name), os.path.join(target, name))
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise UnsupportedError(
                    "the work directory is not on the file system of the container's root",
                    hint=f"in this isolation it must be: leave --work-dir out, or name one under {HOME}",
                ) from error
            raise


def _volumes(top: bytes) -> frozenset[bytes]:
    """Return the names at the root that something is mounted at."""
    found = set()
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            path = line.split()[4]
            if os.path.dirname(path) == top and path != top:
                found.add(os.path.basename(path).replace(b"\\040", b" "))
    return frozenset(found - KEPT)
