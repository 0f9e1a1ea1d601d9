"""Sets owners: a user namespace has only some of the IDs, and an image may have files of any."""

from __future__ import annotations

import errno
import os

from strake_builder.errors import UnsupportedError
from strake_builder.rootfs.errors import shown_path


def set_owner(
    target: int | bytes | str, owner: tuple[int, int], path: bytes | None = None, directory: int | None = None
) -> None:
    """Give something an owner; a link itself, not what it leads to.

    Args:
        target: open descriptor, or a name.
        owner: uid and gid.
        path: what a person knows it by; None for the last component of where the descriptor is.
        directory: descriptor of the directory that the name is in.

    Raises:
        UnsupportedError: the user namespace does not have one of the IDs.
        OSError: as chown(2).
    """
    try:
        if isinstance(target, int):
            os.fchown(target, *owner)
        else:
            os.chown(target, *owner, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        uid, gid = owner
        if path is None:
            path = os.path.basename(os.readlink(b"/proc/self/fd/%d" % int(target)))
        raise UnsupportedError(
            f"{shown_path(path)} belongs to {uid}:{gid}, and the builder's user namespace lacks such an ID",
            hint="give it more IDs: in a pod with hostUsers: false raise the kubelet's setting"
            " userNamespaces.idsPerPod or leave hostUsers out; for a user of a machine, add ranges to"
            " /etc/subuid and /etc/subgid and install newuidmap (Debian: uidmap)",
        ) from error
