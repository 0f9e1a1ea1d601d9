"""The cluster's control groups, under one of its own in every hierarchy (version 1) or in the only one (2)."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cluster.settings import CGROUP

MOUNT = Path("/sys/fs/cgroup")


def _roots() -> list[Path]:
    if (MOUNT / "cgroup.controllers").exists():
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
    if (MOUNT / "cgroup.controllers").exists():
        available = (MOUNT / CGROUP / "cgroup.controllers").read_text().split()
        enabled = " ".join(f"+{controller}" for controller in available)
        (MOUNT / CGROUP / "cgroup.subtree_control").write_text(enabled)


def remove_control_groups() -> None:
    """Remove the cluster's control groups; their processes are gone."""
    for root in _roots():
        for directory, _, _ in os.walk(root, topdown=False):
            Path(directory).rmdir()
