"""A step that failed on a full disk is reported so, even when another stage has made room since."""

import os

from strake_builder.solve.workspace.disk_room import DiskRoom


class Disk:
    """Stands in for statvfs: a full disk cannot be had in a unit test."""

    def __init__(self, monkeypatch):
        self.blocks, self.files = 1000, 1000
        monkeypatch.setattr(os, "statvfs", self)

    def __call__(self, _path):
        return os.statvfs_result(
            (4096, 4096, 5000, self.blocks, self.blocks, 5000, self.files, self.files, 0, 255)
        )


def test_room_that_came_back_is_remembered_as_missing(monkeypatch):
    disk = Disk(monkeypatch)
    room = DiskRoom("/work")
    started = room.look()
    assert not room.was_full_since(started)
    disk.blocks = 3
    room.look()
    disk.blocks = 1000
    later = room.look()
    assert room.was_full_since(started)
    assert not room.was_full_since(later)


def test_no_inodes_are_no_room(monkeypatch):
    disk = Disk(monkeypatch)
    disk.files = 0
    room = DiskRoom("/work")
    assert room.was_full_since(room.look())
