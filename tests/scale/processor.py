"""Gives a process little of a processor, as a node does that is full of builds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.control_groups import MOUNT, is_unified

_PERIOD = 100_000
"""Microseconds over which the share holds."""


@contextlib.contextmanager
def limited(process: int, share: float | None) -> Iterator[None]:
    """Keep a process to a share of one processor: 0.1 is a tenth. None does nothing.

    Args:
        process: Its ID.
        share: Of one processor.
    """
    if share is None:
        yield
        return
    group = (MOUNT if is_unified() else MOUNT / "cpu") / f"strake-test-{os.getpid()}-{process}"
    group.mkdir()
    try:
        _allow(group, round(share * _PERIOD))
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        parent = group.parent / "cgroup.procs"
        for each in (group / "cgroup.procs").read_text().split():
            parent.write_text(each)
        group.rmdir()


def _allow(group: Path, microseconds: int) -> None:
    if is_unified():
        (group / "cpu.max").write_text(f"{microseconds} {_PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(microseconds))
