"""Writes the file of `--lock` when a build has succeeded."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from strake_api.models.source_policy import SourcePolicy
from strake_builder.attestations.facts import Material
from strake_builder.output.new_file import new_file
from strake_builder.solve.observer import BuildObserver
from strake_builder.solve.policy.lock import locked


def lock_writer(path: str, policies: Sequence[SourcePolicy], mask: int) -> BuildObserver:
    """Return what writes a lock; a file that would not change is left alone.

    Args:
        path: of the file.
        policies: of the build, the lock last if there is one.
        mask: permission bits that the file does not get.
    """
    return _LockWriter(path, policies[-1] if os.path.lexists(path) else None, mask)


class _LockWriter(BuildObserver):
    wants_materials = True

    def __init__(self, path: str, lock: SourcePolicy | None, mask: int) -> None:
        self._path = path
        self._lock = lock
        self._mask = mask

    def used(self, materials: Sequence[Material]) -> None:
        """Add to the lock what it has not."""
        lock = locked(self._lock, materials)
        if lock == self._lock:
            return
        with new_file(self._path, self._mask) as file:
            file.write((json.dumps(lock.to_dict(), indent=2) + "\n").encode())
        self._lock = lock
