"""Tells how much git has received, by the packs that grow on disk.

What git writes of its progress is for people: its words change with version and language. The file that it
receives into is there in any case.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from strake_builder.context.download import Watch

_BETWEEN: Final = 1.0
"""Seconds."""
_PACKS: Final = os.path.join("objects", "pack")
_PASSED_OVER: Final = frozenset({"refs", "logs", "hooks", "info"})
"""Directories that may have thousands of files, none of which is a pack."""


@contextlib.contextmanager
def received(directory: str, shown: str, watch: Watch, between: float = _BETWEEN) -> Iterator[None]:
    """Tell while something is fetched, and once more when it is there.

    Args:
        directory: git's own, which need not be there yet.
        shown: what is fetched, without passwords.
        watch: hears of bytes; nobody knows how many there will be.
        between: seconds from one time to the next.
    """
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(between):  # ends at once when the fetch does
            if size := _size(directory):
                watch(shown, size, None)

    thread = threading.Thread(target=tell, name="git received", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if size := _size(directory):
        watch(shown, size, size)


def _size(directory: str) -> int:
    """Return the bytes of all packs, submodules' too; git renames and removes files meanwhile."""
    total = 0
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if name not in _PASSED_OVER]
        if parent.endswith(_PACKS):
            for name in files:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(parent, name)).st_size
    return total
