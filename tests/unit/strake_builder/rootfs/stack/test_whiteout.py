from __future__ import annotations

import os
import socket
import stat

import pytest

from strake_builder.rootfs.stack.whiteout import is_whiteout, make_whiteout


@pytest.fixture
def directory(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_overlays_own_mark_is_made_where_it_can_be(directory, tmp_path):
    make_whiteout(b"gone", directory)
    found = (tmp_path / "gone").lstat()
    assert stat.S_ISCHR(found.st_mode)
    assert found.st_rdev == 0
    assert is_whiteout(found)


def test_where_the_kernel_refuses_it_a_socket_is_the_mark(directory, tmp_path, monkeypatch):
    real = os.mknod

    def refused(path, mode=0o600, device=0, *, dir_fd=None):
        if stat.S_ISCHR(mode):
            raise PermissionError(1, "Operation not permitted")
        real(path, mode, device, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mknod", refused)
    make_whiteout(b"gone", directory)
    found = (tmp_path / "gone").lstat()
    assert stat.S_ISSOCK(found.st_mode)
    assert is_whiteout(found)


def test_no_socket_that_a_program_makes_is_a_mark(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        (tmp_path / "socket").chmod(0)
        assert not is_whiteout((tmp_path / "socket").lstat())


def test_other_things_are_no_marks(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    assert not is_whiteout((tmp_path / "file").lstat())
    assert not is_whiteout((tmp_path / "fifo").lstat())
    assert not is_whiteout(os.stat("/dev/null"))
