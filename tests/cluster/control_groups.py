"""The cluster's control groups, under one of its own in every hierarchy (version 1) or in the only one (2)."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from tests.cluster.settings import CGROUP

MOUNT = Path("/sys/fs/cgroup")
COMPONENTS = "components"
_LEAVING_SECONDS = 60
_SHARE = {"cpu.shares": "4096", "cpu.weight": "400"}
"""Four times what others get where processors are scarce: most of the tests beside it compute, and a whole run waits
longest for those that use the cluster."""


def is_unified() -> bool:
    """Return whether there is one hierarchy (version 2)."""
    return (MOUNT / "cgroup.controllers").exists()


def _roots() -> list[Path]:
    if is_unified():
        return [MOUNT / CGROUP]
    return [path / CGROUP for path in MOUNT.iterdir() if (path / "cgroup.procs").exists()]


def make_control_groups() -> None:
    """Make the cluster's control group; the kubelet wants it to be there."""
    for root in _roots():
        root.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Version 1: a cpuset without processors or memory nodes cannot hold a process.
            if (root / setting).exists() and not (root / setting).read_text().strip():
                (root / setting).write_text((root.parent / setting).read_text())
        _share(root)
    if is_unified():
        available = (MOUNT / CGROUP / "cgroup.controllers").read_text().split()
        enabled = " ".join(f"+{controller}" for controller in available)
        (MOUNT / CGROUP / "cgroup.subtree_control").write_text(enabled)


def _share(group: Path) -> None:
    for setting, value in _SHARE.items():
        if (group / setting).exists():
            (group / setting).write_text(value)


def join_components() -> None:
    """Have this process, and those that it starts, share the cluster's processor time with its pods."""
    for root in _roots():
        if any((root / setting).exists() for setting in _SHARE):
            (root / COMPONENTS).mkdir()
            _share(root / COMPONENTS)  # pods that compute do not keep the API server from its work
            (root / COMPONENTS / "cgroup.procs").write_text("0")


def remove_control_groups() -> None:
    """Remove the cluster's control groups; their processes have ended.

    Raises:
        OSError: One is still in use after a while.
    """
    deadline = time.monotonic() + _LEAVING_SECONDS
    for root in _roots():
        for directory, _, _ in os.walk(root, topdown=False):
            while not _is_removed(Path(directory)):
                if time.monotonic() > deadline:
                    raise OSError(errno.EBUSY, "a process of the cluster does not leave it", directory)
                time.sleep(0.05)  # between looks


def _is_removed(group: Path) -> bool:
    """Remove a control group; return False while the last process of a namespace unmounts what was in it."""
    try:
        group.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
