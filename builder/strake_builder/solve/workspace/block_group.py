"""Where a workspace's files lie on ext4: away from inodes that were freed a moment ago.

A builder makes ten thousand files and removes them, and so does the next one on the same node. Without a
journal, as on many scratch disks and in microVMs, ext4 does not use an inode for a minute after it was freed,
and for five if that is not on the disk yet. It passes over all of these, one by one, for every file that is
made in their block group (`find_inode_bit` in fs/ext4/ialloc.c). After a few builds a file takes thirty times
as long.

ext4 takes the group of a file from its directory, and that of a directory from its parent, unless the parent
has the flag TOPDIR (`chattr +T`): its directories are spread over the disk, by their names. So a workspace
has the flag, and what it holds is in the first of its directories in which a few files show that it is not
slow.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import sys
import time
from typing import Final

_IS_64_BIT: Final = sys.maxsize > 2**32
_GET_FLAGS: Final = 0x80086601 if _IS_64_BIT else 0x80046601
_SET_FLAGS: Final = 0x40086602 if _IS_64_BIT else 0x40046602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h, whose size is that of a C long."""
_TOP_DIRECTORY: Final = 0x20000
"""FS_TOPDIR_FL."""
_JOURNALS: Final = "/proc/fs/jbd2"
"""Has an entry `DEVICE-INODE` for each journal."""
_BLOCK_DEVICES: Final = "/sys/dev/block"
_CANDIDATES: Final = 8
_FILES: Final = 16
_QUICK: Final = 60e-6
"""Seconds of processor time for a file: 10 µs are usual, 200 µs where freed inodes are passed over."""


def quick_directory(parent: str) -> str:
    """Return a directory in which files are made quickly: a new one in `parent`, or `parent` itself.

    Args:
        parent: an empty directory of the caller's; on ext4 without a journal it gets the flag.

    Raises:
        OSError: the file system is full, or fails.
    """
    if _has_journal(parent) or not _spread(parent):
        return parent
    found: list[tuple[float, str]] = []
    while len(found) < _CANDIDATES and not (found and min(found)[0] < _QUICK):
        path = os.path.join(parent, secrets.token_hex(4))
        os.mkdir(path, 0o700)
        found.append((_seconds_for_a_file(path), path))
    return min(found)[1]


def _has_journal(directory: str) -> bool:
    """Return whether a directory's file system has a journal of ext4's kind, or nobody can tell."""
    device = os.stat(directory).st_dev
    try:
        link = os.readlink(f"{_BLOCK_DEVICES}/{os.major(device)}:{os.minor(device)}")
    except OSError:  # no device of its own, as of overlay and tmpfs, or no /sys
        return True
    try:
        journals = os.listdir(_JOURNALS)
    except FileNotFoundError:
        return False
    except OSError:  # hidden from this container
        return True
    return os.path.basename(link) in {name.rpartition("-")[0] for name in journals}


def _spread(directory: str) -> bool:
    """Have the directories that are made in a directory spread over the disk; return whether they will be."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("L", fcntl.ioctl(fd, _GET_FLAGS, struct.pack("L", 0)))
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("L", flags | _TOP_DIRECTORY))
    except OSError:  # other file systems refuse it, or have no flags
        return False
    finally:
        os.close(fd)
    return True


def _seconds_for_a_file(directory: str) -> float:
    """Make a few files, which stay: removed, they would be passed over, too."""
    probes = os.path.join(directory, "probes")
    os.mkdir(probes, 0o700)
    began = time.thread_time()
    for number in range(_FILES):
        os.close(os.open(os.path.join(probes, str(number)), os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return (time.thread_time() - began) / _FILES
