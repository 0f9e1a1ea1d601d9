"""Trees are removed whatever they hold, few entries or many, and nothing beside them is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strake_builder.rootfs import syscalls
from strake_builder.rootfs.remove import remove_tree
from tests.fixtures.isolated import isolated


def _tree(path: Path, files: int) -> None:
    (path / "deep/er").mkdir(parents=True)
    (path / "closed").mkdir(mode=0o000)
    for number in range(files):
        (path / "deep" / f"f{number}").write_text("x")
    os.mkfifo(path / "deep/er/pipe")
    (path / "dangling").symlink_to("nowhere")


@pytest.mark.parametrize("files", [0, 5, 199, 1000])
def test_removes_a_tree_and_only_it(tmp_path, files):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/kept").write_text("kept")
    _tree(tmp_path / "tree", files)
    (tmp_path / "tree/way out").symlink_to(tmp_path / "beside")
    remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["beside"]
    assert (tmp_path / "beside/kept").read_text() == "kept"


def test_does_not_follow_a_link_in_the_trees_place(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("kept")
    (tmp_path / "tree").symlink_to(tmp_path / "kept")
    remove_tree(str(tmp_path / "tree"))
    assert (tmp_path / "kept/file").read_text() == "kept"


def test_passes_over_what_is_not_there(tmp_path):
    remove_tree(str(tmp_path / "missing"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("files", [1, 1000])
def test_leaves_other_file_systems_alone(tmp_path, files):
    _tree(tmp_path / "tree", files)

    def work() -> str:
        mounted = tmp_path / "tree/deep/er"
        syscalls.mount(b"tmpfs", os.fsencode(mounted), b"tmpfs", 0)
        (mounted / "other").write_text("kept")
        remove_tree(str(tmp_path / "tree"))
        return (mounted / "other").read_text()

    assert isolated(work) == "kept"
