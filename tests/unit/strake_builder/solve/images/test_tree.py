"""Trees that a stranger made: what is dangerous in them stays behind, however it is hidden."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from strake_builder.errors import BuildCancelledError, BuildError, OutputError
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.solve.images.tree import write_tree, write_tree_archive

NAME = b"d" * 250
DEPTH = 20


@pytest.fixture
def root(tmp_path):
    """A root whose deepest directory has a path that is longer than the kernel takes in one piece."""
    path = tmp_path / "root"
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir(NAME, dir_fd=fd)
        inner = os.open(NAME, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o6777, dir_fd=fd))
    os.mknod("device", stat.S_IFBLK | 0o666, os.makedev(8, 0), dir_fd=fd)
    os.symlink("/etc/passwd", "link", dir_fd=fd)
    os.close(fd)
    yield str(path)
    remove_tree(path)


def go_on() -> None:
    """Nobody wants to stop."""


def stop() -> None:
    raise BuildCancelledError("stopped by SIGTERM")


@pytest.mark.parametrize("write", [write_tree, write_tree_archive])
def test_what_is_stopped_leaves_nothing(tmp_path, write):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").touch()
    with pytest.raises(BuildError):
        write(str(tmp_path / "root"), str(tmp_path / "out"), stop, mask=0o022)
    assert os.listdir(tmp_path) == ["root"]


def test_a_device_hides_in_no_depth(root, tmp_path):
    assert write_tree(root, str(tmp_path / "out"), go_on, mask=0o022) == 1
    found = subprocess.run(
        ["find", tmp_path / "out", "-not", "-type", "d", "-printf", "%y %f %m\\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(found.stdout.splitlines()) == ["f file 755", "l link 777"]
    remove_tree(tmp_path / "out")


def test_what_tar_cannot_be_told_is_an_error_of_the_output(root, tmp_path):
    with pytest.raises(OutputError, match=r"out\.tar"):
        write_tree_archive(root, str(tmp_path / "out.tar"), go_on, mask=0o022)
    assert os.listdir(tmp_path) == ["root"]


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with pytest.raises(OutputError, match="not an empty directory"):
        write_tree(str(tmp_path / "root"), str(tmp_path / "out"), go_on, mask=0o022)
    assert os.listdir(tmp_path / "elsewhere") == []
