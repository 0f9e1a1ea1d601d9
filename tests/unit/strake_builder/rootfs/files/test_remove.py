"""Trees are removed whatever they hold, few entries or many, and nothing beside them is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from strake_builder import interrupt
from strake_builder.errors import BuildCancelledError
from strake_builder.rootfs.files.remove import remove_entry, remove_tree
from strake_builder.rootfs.mounts import syscalls
from tests.fixtures.building.isolated import isolated
from tests.fixtures.building.slow_removal import slow_removal

__all__ = ["slow_removal"]


def _tree(path: Path, files: int) -> None:
    (path / "deep/er").mkdir(parents=True)
    (path / "closed").mkdir(mode=0o000)
    for number in range(files):
        (path / "deep" / f"f{number}").write_text("x")
    os.mkfifo(path / "deep/er/pipe")
    (path / "dangling").symlink_to("nowhere")


@pytest.fixture(params=[False, True], ids=["", "own"])
def is_own(request):
    return request.param


@pytest.mark.parametrize("files", [0, 5, 199, 1000])
def test_removes_a_tree_and_only_it(tmp_path, files, is_own):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/kept").write_text("kept")
    _tree(tmp_path / "tree", files)
    (tmp_path / "tree/way out").symlink_to(tmp_path / "beside")
    (tmp_path / "tree/deep/way out").symlink_to(tmp_path / "beside")
    assert remove_tree(str(tmp_path / "tree"), is_own=is_own)
    assert os.listdir(tmp_path) == ["beside"]
    assert (tmp_path / "beside/kept").read_text() == "kept"


def test_does_not_follow_a_link_in_the_trees_place(tmp_path, is_own):
    for number in range(3):
        (tmp_path / f"kept/{number}/er").mkdir(parents=True)
        (tmp_path / f"kept/{number}/er/file").write_text("kept")
    (tmp_path / "tree").symlink_to(tmp_path / "kept")
    remove_tree(str(tmp_path / "tree"), is_own=is_own)
    assert [file.read_text() for file in tmp_path.glob("kept/*/er/file")] == ["kept"] * 3


def test_passes_over_what_is_not_there(tmp_path, is_own):
    remove_tree(str(tmp_path / "missing"), is_own=is_own)
    assert os.listdir(tmp_path) == []


class TestStopped:
    """A slow disk: `rm` takes as long as nobody has."""

    @pytest.fixture(autouse=True)
    def _slow(self, slow_removal):
        """Have `rm` take minutes."""

    def test_the_rest_is_left_when_patience_ends(self, tmp_path, is_own):
        _tree(tmp_path / "tree", 1000)
        (tmp_path / "tree/other/er").mkdir(parents=True)
        begun = time.monotonic()
        with interrupt.interrupted_by(stop):
            assert not remove_tree(str(tmp_path / "tree"), patience=0.5, is_own=is_own)
        assert 0.5 <= time.monotonic() - begun < 5

    def test_an_entry_that_stays_ends_the_work(self, tmp_path):
        _tree(tmp_path / "tree", 1000)
        directory = os.open(tmp_path, os.O_RDONLY)
        try:
            with interrupt.interrupted_by(stop), pytest.raises(BuildCancelledError):
                remove_entry(directory, b"tree")
        finally:
            os.close(directory)

    def test_few_entries_are_removed_all_the_same(self, tmp_path):
        _tree(tmp_path / "tree", 5)
        with interrupt.interrupted_by(stop):
            assert remove_tree(str(tmp_path / "tree"), patience=0)
        assert os.listdir(tmp_path) == []


def stop() -> None:
    raise BuildCancelledError("stopped")


@pytest.mark.parametrize("files", [1, 1000])
def test_leaves_other_file_systems_alone(tmp_path, files, is_own):
    _tree(tmp_path / "tree", files)

    def work() -> str:
        mounted = tmp_path / "tree/deep/er"
        syscalls.mount(b"tmpfs", os.fsencode(mounted), b"tmpfs", 0)
        (mounted / "other").write_text("kept")
        remove_tree(str(tmp_path / "tree"), is_own=is_own)
        return (mounted / "other").read_text()

    assert isolated(work) == "kept"
