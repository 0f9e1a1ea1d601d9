"""What can be wrong with a path inside a root file system.

PathError
├── NotInRootError           nothing is there
├── ParentNotDirectoryError  a component that must be a directory is something else
└── TooManyLinksError        symbolic links lead in a circle
"""

from __future__ import annotations

import os
from typing import Final

from strake_builder.errors import StepError

_SHOWN: Final = 300


def shown_path(path: bytes) -> str:
    """Return a path as a message shows it: bounded, and readable whatever its bytes."""
    return repr(os.fsdecode(path[:_SHOWN]).encode(errors="replace").decode())


class PathError(StepError):
    """A path inside a root file system cannot be used."""


class NotInRootError(PathError):
    """Nothing is at the path."""


class ParentNotDirectoryError(PathError):
    """A component that must be a directory is something else."""


class TooManyLinksError(PathError):
    """Symbolic links lead in a circle, or through more than 255 of them."""
