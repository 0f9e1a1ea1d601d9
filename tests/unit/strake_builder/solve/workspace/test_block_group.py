"""The directory of a workspace's files: one in which making files is quick."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from strake_builder.errors import InvalidRequestError
from strake_builder.solve.workspace import block_group
from strake_builder.solve.workspace.block_group import quick_directory
from strake_builder.solve.workspace.workspace import Workspace


@pytest.fixture
def spread(monkeypatch):
    """A file system that has the flag, and no journal."""
    monkeypatch.setattr(block_group, "_spread", lambda _: True)
    monkeypatch.setattr(block_group, "_has_journal", lambda _: False)


@pytest.fixture
def seconds(monkeypatch):
    """Return what sets the seconds that files take in directories, in the order of their making."""

    def set_to(*given: float) -> None:
        left = list(given)
        monkeypatch.setattr(block_group, "_seconds_for_a_file", lambda _: left.pop(0))

    return set_to


def test_the_first_quick_directory_is_taken(tmp_path, spread, seconds):
    seconds(300e-6, 200e-6, 10e-6, 1e-6)
    found = Path(quick_directory(str(tmp_path)))
    assert found.parent == tmp_path
    assert len(list(tmp_path.iterdir())) == 3


def test_of_slow_ones_the_least_slow_is_taken(tmp_path, monkeypatch, spread):
    paths: list[str] = []

    def one(path: str) -> float:
        paths.append(path)
        return 200e-6 if len(paths) == 5 else 300e-6

    monkeypatch.setattr(block_group, "_seconds_for_a_file", one)
    assert quick_directory(str(tmp_path)) == paths[4]
    assert len(paths) == 8


def test_a_file_system_without_the_flag_stays_as_it_is(tmp_path, monkeypatch):
    def refuse(*_: object) -> bytes:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    monkeypatch.setattr(block_group, "_has_journal", lambda _: False)
    monkeypatch.setattr("fcntl.ioctl", refuse)
    assert quick_directory(str(tmp_path)) == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("journals", "has_one"), [(["disk-8"], True), (["disk2-8", "loop0-8"], False), ([], False)]
)
def test_a_journal_is_known_by_the_name_of_its_device(tmp_path, monkeypatch, journals, has_one):
    devices, device = tmp_path / "devices", tmp_path.stat().st_dev
    devices.mkdir()
    (devices / f"{os.major(device)}:{os.minor(device)}").symlink_to("../../devices/virtual/block/disk")
    monkeypatch.setattr(block_group, "_BLOCK_DEVICES", str(devices))
    monkeypatch.setattr(block_group, "_JOURNALS", str(tmp_path / "journals"))
    for name in journals:
        (tmp_path / "journals" / name).mkdir(parents=True)
    assert block_group._has_journal(str(tmp_path)) is has_one


def test_without_sys_nobody_can_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(block_group, "_BLOCK_DEVICES", str(tmp_path / "missing"))
    assert quick_directory(str(tmp_path)) == str(tmp_path)


def test_journals_that_are_hidden_are_taken_for_one(tmp_path, monkeypatch):
    def refuse(_: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("os.readlink", lambda _: "../block/disk")
    monkeypatch.setattr("os.listdir", refuse)
    assert quick_directory(str(tmp_path)) == str(tmp_path)


def test_a_disk_that_is_full_leaves_nothing(tmp_path, monkeypatch, spread):
    def full(_: str) -> float:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(block_group, "_seconds_for_a_file", full)
    with pytest.raises(InvalidRequestError, match="No space left on device"):
        Workspace(str(tmp_path), rootfs="scan")
    assert list(tmp_path.iterdir()) == []


def test_names_differ_from_build_to_build(tmp_path, spread, seconds):
    """The group follows from the name: the same one would be that of the build before."""
    seconds(1e-6, 1e-6)
    assert quick_directory(str(tmp_path)) != quick_directory(str(tmp_path))


def test_a_workspace_leaves_nothing_of_it(tmp_path):
    with Workspace(str(tmp_path), rootfs="scan") as workspace:
        assert workspace.path.startswith(f"{tmp_path}/")
        assert os.stat(workspace.path).st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
