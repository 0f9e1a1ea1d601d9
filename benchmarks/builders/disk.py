"""A file system of its own for each build, freshly made: ext4 in a sparse file.

Where many files were deleted a moment ago, ext4 is slow to make new ones: it passes over every inode that was
freed within the last minutes (`recently_deleted` in its allocator was 60 % of a build's processor time). The
builder whose turn comes after a large build would pay for it, or for somebody else's tests.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from strake_builder.rootfs.mounts import syscalls

_BYTES: Final = 40 * 1024**3
"""Room that a file system promises; its file takes what is written."""


@contextlib.contextmanager
def fresh_disk() -> Iterator[Path]:
    """Mount an empty file system; it and its content are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="strake-bench-disk-", dir="/var/tmp") as work:
        image, mounted = Path(work, "image"), Path(work, "mounted")
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(_BYTES)
        # no table of inodes is written behind the builder's back
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard", image], check=True)
        subprocess.run(["mount", "-o", "loop,noinit_itable", image, mounted], check=True)
        try:
            yield mounted
        finally:
            syscalls.unmount(bytes(mounted))
