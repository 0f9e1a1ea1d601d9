"""When a source was made, for SOURCE_DATE_EPOCH: what its server, its commit or its archive says.

Source: BuildKit v0.34, `frontend/dockerui/context.go` and `frontend/dockerfile/dockerfile2llb/epoch.go`: the
committer's time of a commit; of a download its Last-Modified, else the latest time of a file in it, if it is
an archive. Other sources have no time of their own.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from strake_api.models.form import EPOCH_LIMIT
from strake_api.models.source import GitSource, HTTPSource, Source
from strake_builder import interrupt
from strake_builder.context.fetch import FILE, FetchedContext
from strake_builder.context.git.fetch import commit_time
from strake_builder.errors import SourceError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.entry import EntryType
from strake_builder.layers.errors import LayerError
from strake_builder.layers.tar_reader import read_members
from strake_oci.cancellation import Cancellation

_NONE: Final = 0
"""What an archive of nothing but directories has, and what is before 1970 becomes."""
_FILES: Final = frozenset({EntryType.FILE, EntryType.HARD_LINK})


def context_time(
    source: Source, fetched: FetchedContext, cancellation: Cancellation, limit: int
) -> int | None:
    """Return seconds since 1970; None for a context that has no time, as a directory on this machine.

    Args:
        source: which context.
        fetched: how it came.
        cancellation: ends it.
        limit: see `archive_time`.

    Raises:
        SourceError: git does not tell, or an archive is too large.
    """
    match source.chosen:
        case GitSource():
            moment: int | None = commit_time(fetched.directory, cancellation)
        case HTTPSource(unpacked=unpacked):
            moment = fetched.modified
            if moment is None and unpacked:
                moment = _latest(fetched.directory)
            elif moment is None:
                moment = archive_time(os.path.join(fetched.directory, FILE), limit)
        case _:
            return None
    return None if moment is None else within_limits(moment)


def archive_time(path: str, limit: int) -> int | None:
    """Return the latest time of a file in a tar archive, compressed or not, in seconds since 1970.

    Args:
        path: of the archive.
        limit: bytes that its files may have together.

    Returns:
        None where it is no archive, is damaged, or has no file.

    Raises:
        SourceError: its files are larger together.
        OSError: it cannot be read.
    """
    latest, size = None, 0
    with open(path, "rb", buffering=0) as packed:
        try:
            for entry, _ in read_members(DecompressedStream(packed)):
                size += entry.size
                if size > limit:
                    raise SourceError(
                        f"an archive whose time is wanted has more than {limit} bytes",
                        hint="give SOURCE_DATE_EPOCH as a number",
                    )
                if entry.type in _FILES:
                    latest = entry.mtime if latest is None else max(latest, entry.mtime)
        except LayerError:
            return None
    return latest


def within_limits(moment: int) -> int:
    """Return a time that an image can have: a commit, a server and an archive may name any."""
    return min(max(moment, _NONE), EPOCH_LIMIT)


def _latest(directory: str) -> int | None:
    """Return the latest time of a file in a tree that was unpacked; None where there is no file."""
    latest = None
    for parent, _, names in os.walk(directory):
        interrupt.check()
        for name in names:
            status = os.lstat(os.path.join(parent, name))
            if stat.S_ISREG(status.st_mode):
                latest = max(latest or _NONE, int(status.st_mtime))
    return latest
