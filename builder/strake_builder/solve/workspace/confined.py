"""What a way of isolation asks of the work directory and of how root file systems are made."""

from __future__ import annotations

from strake_builder.errors import InvalidRequestError
from strake_builder.isolation.chroot.container_root import HOME, runs_in_place
from strake_builder.isolation.ways import Isolation
from strake_builder.rootfs.backends.selection import RootfsKind


def check_work_directory(isolation: Isolation, wanted: RootfsKind, directory: str) -> RootfsKind:
    """Return how root file systems are made.

    Args:
        isolation: the way of the build.
        wanted: what was asked for.
        directory: the work directory, absolute.

    Raises:
        InvalidRequestError: what was asked for cannot be had in this isolation.
    """
    if isolation.makes_mounts:
        return wanted
    if wanted == "overlay":
        raise InvalidRequestError(
            f"--rootfs overlay needs mounts, which the isolation {isolation.way} does not have",
            hint="leave it out",
        )
    if runs_in_place() and not directory.startswith(HOME + "/"):
        raise InvalidRequestError(
            f"the work directory {directory} is not under {HOME}: in the isolation {isolation.way} the rest"
            " of the root makes room for the image",
            hint=f"leave --work-dir out, or name one under {HOME} that is no volume",
        )
    return "scan"
