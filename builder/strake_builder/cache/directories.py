"""Makes directories that outlive a build. The builder's process has no umask, so each mode is named here."""

from __future__ import annotations

import os


def make_directory(path: str, mode: int = 0o755) -> None:
    """Make a directory unless it is there; missing parents are writable by their owner alone.

    `os.makedirs` gives its mode to the last directory only.

    Raises:
        OSError: it cannot be made, or something else has the name.
    """
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_directory(parent)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
