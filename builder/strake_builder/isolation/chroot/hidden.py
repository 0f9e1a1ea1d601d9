"""What the container hides of a step's tree: volumes, and what the builder works with, stay at the root.

A tree may have an empty directory where a volume is: the step sees the volume in its place. What it writes
there would be missing from its image without a word, so such a step fails; but not where everybody may write,
as in /tmp, since nobody expects to find there what an earlier step left.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import Final

from strake_builder.errors import StepError
from strake_builder.isolation.chroot.container_root import HOME

_COARSE_CLOCK: Final = 5
"""CLOCK_REALTIME_COARSE, for which Python has no name. Files get its time, or a later one up to now."""
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH


def hidden(tree: bytes, staying: Iterable[bytes], works_in: bytes = b"/") -> list[bytes]:
    """Return the names at a tree's top that stay what they are in the container.

    Args:
        tree: the step's tree.
        staying: names at the container's root that cannot be moved away.
        works_in: the step's working directory.

    Raises:
        StepError: the tree has more under such a name than an empty directory, or the step works there.
    """
    found = sorted(set(os.listdir(tree)).intersection(staying))
    for name in found:
        path = os.path.join(tree, name)
        mode = os.lstat(path).st_mode
        works_there = works_in.lstrip(b"/").partition(b"/")[0] == name and mode & _SHARED != _SHARED
        if works_there or not stat.S_ISDIR(mode) or os.listdir(path):
            shown = os.fsdecode(name)
            raise StepError(
                f"the step's image has /{shown}, and so has the builder's container, as a volume or in its"
                " image",
                hint=elsewhere(shown),
            )
    return found


@contextlib.contextmanager
def unwritten(tree: bytes, top: bytes, names: Iterable[bytes]) -> Iterator[None]:
    """Make sure that a step that runs in the context writes nothing that its image would miss.

    Args:
        tree: the step's tree.
        top: the container's root.
        names: what the container hides of the tree.

    Raises:
        StepError: it did.
    """
    own = [name for name in names if os.lstat(os.path.join(tree, name)).st_mode & _SHARED != _SHARED]
    since = _now() if own else 0
    yield
    for name in own:
        for path in _changed(os.path.join(top, name), since):
            shown, written = os.fsdecode(name), os.fsdecode(os.path.relpath(path, top))
            raise StepError(
                f"the step wrote to /{written}, which would be missing from the image: here /{shown} is the"
                " builder's container's, a volume or what the builder works with",
                hint=elsewhere(shown),
            )


def _now() -> int:
    """Return a time that no file has had, and that every file has or passes that changes from now on."""
    now = time.time_ns()
    while time.clock_gettime_ns(_COARSE_CLOCK) < now:
        time.sleep(0.001)  # the coarse clock ticks every few milliseconds, and tells nobody
    return now


def _changed(directory: bytes, since: int) -> Iterator[bytes]:
    for path, directories, files in os.walk(directory):
        for each in (path, *(os.path.join(path, name) for name in (*files, *directories))):
            with contextlib.suppress(OSError):  # gone meanwhile
                if os.lstat(each).st_ctime_ns >= since:
                    yield each


def elsewhere(name: str) -> str:
    """Return what to try where a volume is at a path from the root."""
    return (
        f"mount what is at /{name} in the builder's container somewhere else, for example at {HOME}/{name},"
        " or let it have --isolation nested"
    )
