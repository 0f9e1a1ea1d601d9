"""Extended attributes that a file system does not take, and file systems that are full."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest

from strake_builder.rootfs.files.attributes import set_attribute
from tests.fixtures.building.file_systems import ext4

NAME = b"user.large"
VALUE = b"x" * 20_000


@pytest.fixture
def small(tmp_path):
    """A file system in which a file has 4 KiB for its attributes."""
    with ext4(tmp_path / "ext4", "8M") as where:
        (where / "file").touch()
        yield where


def test_one_that_is_too_large_for_ext4(small):
    with pytest.raises(OSError, match=r"'user\.large' of 'file' \(20,000 bytes\) is larger") as raised:
        set_attribute(os.fsencode(small / "file"), NAME, VALUE)
    assert raised.value.errno == errno.E2BIG


def test_a_full_file_system(small):
    fill(small)
    with pytest.raises(OSError, match="No space left") as raised:
        set_attribute(os.fsencode(small / "file"), NAME, VALUE[:4000])
    assert raised.value.errno == errno.ENOSPC


def fill(directory) -> None:
    with open(directory / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("kind", ["an open file", "a path", "a path to an open file", "a link"])
def test_what_no_file_system_takes(tmp_path, kind):
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to("file")
    with open(file, "rb") as opened:
        targets: dict[str, int | bytes] = {
            "an open file": opened.fileno(),
            "a path": os.fsencode(file),
            "a path to an open file": b"/proc/self/fd/%d" % opened.fileno(),
            "a link": os.fsencode(tmp_path / "link"),
        }
        target = targets[kind]
        with pytest.raises(OSError, match=r"'user\.large' of 'file' \(70,000 bytes\) is larger"):
            set_attribute(target, NAME, b"x" * 70_000)
        with pytest.raises(OSError, match=r"'user\.n{95}' of 'file' \(1 bytes\) is larger"):
            set_attribute(target, b"user." + b"n" * 300, b"x")


def test_what_is_wrong_with_another(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"'security\.capability' of 'file' cannot be set: Invalid"):
        set_attribute(os.fsencode(tmp_path / "file"), "security.capability", b"nonsense")
