"""Chooses how roots are made: by name, or by what the kernel allows here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, assert_never

from strake_builder.errors import UnsupportedError
from strake_builder.rootfs.backends.overlay import Overlay
from strake_builder.rootfs.backends.scan import Scan
from strake_builder.rootfs.backends.snapshotter import Snapshotter
from strake_builder.rootfs.files.remove import remove_tree

RootfsKind = Literal["auto", "overlay", "scan"]


def open_snapshotter(kind: RootfsKind, directory: str, warn: Callable[[str], None]) -> Snapshotter:
    """Return what makes roots in a directory.

    Args:
        kind: `auto` is overlay where one can be mounted, else scan.
        directory: an existing empty directory.
        warn: called with a message when `auto` has to take the slower one.
    """
    match kind:
        case "overlay":
            return Overlay(directory)
        case "scan":
            return Scan(directory)
        case "auto":
            refusal = _overlay_refusal(directory)
            if refusal is None:
                return Overlay(directory)
            warn(f"{refusal.message}: layers are copied and scanned instead, which is slower; {refusal.hint}")
            return Scan(directory)
        case _:
            assert_never(kind)


def _overlay_refusal(directory: str) -> UnsupportedError | None:
    """Mount one overlay over nothing; return why the kernel refused, if it did."""
    trial = os.path.join(directory, "trial")
    os.mkdir(trial)
    overlay = Overlay(trial)
    try:
        with overlay.mounted((), "root"):
            return None
    except UnsupportedError as error:
        return error
    finally:
        overlay.close()
        remove_tree(trial)
