"""Directories of one build among those that builds share: gone with it, however it ends."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strake_builder import interrupt
from strake_builder.errors import BuildCancelledError
from strake_builder.solve.workspace.scratch import (
    make_scratch,
    remove_abandoned,
    remove_at_once,
    scratch_directory,
)
from tests.fixtures.building.isolated import isolated
from tests.fixtures.building.slow_removal import slow_removal

__all__ = ["slow_removal"]

MANY = 1000
"""Files, more than are removed without `rm`."""


def fill(directory: str | Path, files: int = MANY) -> None:
    for number in range(files):
        Path(directory, str(number)).touch()


def stop() -> None:
    raise BuildCancelledError("stopped")


def test_it_is_gone_afterwards(tmp_path):
    with scratch_directory(str(tmp_path), "sha256-abc") as scratch:
        assert os.path.basename(scratch.path).startswith(".sha256-abc-")
        fill(scratch.path)
    assert os.listdir(tmp_path) == []


def test_it_is_kept_under_a_name(tmp_path):
    with scratch_directory(str(tmp_path), "x") as scratch:
        fill(scratch.path, 3)
        scratch.keep_as(str(tmp_path / "known"))
    assert os.listdir(tmp_path) == ["known"]
    assert len(os.listdir(tmp_path / "known")) == 3


def test_another_one_was_quicker(tmp_path):
    (tmp_path / "known").mkdir()
    (tmp_path / "known/first").touch()
    with scratch_directory(str(tmp_path), "x") as scratch, pytest.raises(OSError, match="not empty"):
        scratch.keep_as(str(tmp_path / "known"))
    assert os.listdir(tmp_path) == ["known"]


def test_what_a_killed_build_left_is_removed_and_what_is_in_use_is_not(tmp_path):
    abandoned = isolated(lambda: make_scratch(str(tmp_path), ".x-").path)  # its lock ends with this process
    fill(abandoned)
    (tmp_path / ".somebody-elses").mkdir()
    with scratch_directory(str(tmp_path), "y") as scratch:
        remove_abandoned(str(tmp_path))
        assert not os.path.exists(abandoned)
        assert os.path.isdir(scratch.path)
    assert os.listdir(tmp_path) == [".somebody-elses"]


def test_many_at_once_lose_nothing(tmp_path):
    def one(_: int) -> bool:
        remove_abandoned(str(tmp_path))
        with scratch_directory(str(tmp_path), "x") as scratch:
            fill(scratch.path, 3)
            return len(os.listdir(scratch.path)) == 3

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(200)))
    assert os.listdir(tmp_path) == []


class TestSlowDisk:
    @pytest.fixture(autouse=True)
    def _slow(self, slow_removal):
        """Have `rm` take minutes."""

    def test_what_a_stopped_build_leaves_is_removed_by_the_next(self, tmp_path, monkeypatch):
        scratch = make_scratch(str(tmp_path), ".x-")
        fill(scratch.path)
        with interrupt.interrupted_by(stop):
            assert not scratch.remove(patience=0.1)
        assert os.path.isdir(scratch.path)
        monkeypatch.undo()
        remove_abandoned(str(tmp_path))
        assert os.listdir(tmp_path) == []

    def test_a_build_that_is_stopped_removes_nothing_of_others(self, tmp_path):
        abandoned = isolated(lambda: make_scratch(str(tmp_path), ".x-").path)
        fill(abandoned)
        with interrupt.interrupted_by(stop), pytest.raises(BuildCancelledError):
            remove_abandoned(str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(abandoned) + s for s in ("", ".lock"))

    def test_no_part_of_what_others_know_is_left_under_its_name(self, tmp_path):
        (tmp_path / "known").mkdir()
        fill(tmp_path / "known")
        with interrupt.interrupted_by(stop):
            remove_at_once(str(tmp_path / "known"))
        assert not (tmp_path / "known").exists()
