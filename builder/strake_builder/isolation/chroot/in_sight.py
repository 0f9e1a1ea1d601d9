"""Keeps paths of the container's in sight while a step's tree is at its root.

Pipelines put a build's context on a volume inside a directory that images have as well: Jenkins at
/home/jenkins/agent. The container's /home is aside while a step runs. The builder needs no path, since it has
the context open; but what started it may look for files there, to see that it lives. So the first directory
of such a path that the tree has not is a link to where it is now.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from strake_builder.isolation.chroot.renamed import same_times
from strake_oci.lazy_dataclass import dataclass

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Link:
    directory: int
    name: bytes
    target: bytes

    def make(self) -> None:
        with same_times(self.directory):
            os.symlink(self.target, self.name, dir_fd=self.directory)

    def remove(self) -> None:
        """Remove the link, unless the step put something of its own there."""
        with contextlib.suppress(OSError):
            if os.readlink(self.name, dir_fd=self.directory) == self.target:
                with same_times(self.directory):
                    os.unlink(self.name, dir_fd=self.directory)


@contextlib.contextmanager
def kept_in_sight(top: bytes, aside: bytes, paths: Iterable[str]) -> Iterator[None]:
    """Let paths lead to where the container's directories are now.

    Args:
        top: the container's root, where the tree is.
        aside: where the container's own directories are.
        paths: absolute ones. One whose directories the tree has all, as such or as something else, is the
            tree's; and so is one whose first name it has not.
    """
    with contextlib.ExitStack() as scope:
        for path in paths:
            if (link := _missing(top, aside, os.fsencode(path).strip(b"/").split(b"/"), scope)) is not None:
                with contextlib.suppress(OSError):  # no step fails for it
                    link.make()
                    scope.callback(link.remove)
        yield


def _missing(top: bytes, aside: bytes, names: list[bytes], scope: contextlib.ExitStack) -> _Link | None:
    """Return the link for the first name that is missing in the tree, inside a directory that is not."""
    if not os.path.lexists(os.path.join(aside, names[0])):
        return None  # it was not moved
    directory = os.open(top, _DIRECTORY)
    scope.callback(os.close, directory)
    for number, name in enumerate(names):
        try:
            mode = os.lstat(name, dir_fd=directory).st_mode
        except FileNotFoundError:
            return _Link(directory, name, os.path.join(aside, *names[: number + 1])) if number else None
        if not stat.S_ISDIR(mode):
            return None
        directory = os.open(name, _DIRECTORY, dir_fd=directory)
        scope.callback(os.close, directory)
    return None
