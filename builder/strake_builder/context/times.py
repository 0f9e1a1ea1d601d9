"""When a context was made, for `SOURCE_DATE_EPOCH=context`: what its server, its commit or its archive says.

Source: BuildKit v0.34, `frontend/dockerui/context.go`: the committer's time of a commit; of a download its
Last-Modified, else the latest time of a file in the archive. Other contexts have no time of their own.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from strake_api.models.form import EPOCH_LIMIT
from strake_api.models.source import GitSource, HTTPSource, Source
from strake_builder import interrupt
from strake_builder.context.fetch import FetchedContext
from strake_builder.context.git.fetch import commit_time
from strake_oci.cancellation import Cancellation

_NONE: Final = 0
"""What an archive of nothing but directories has, and what is before 1970 becomes."""


def context_time(source: Source, fetched: FetchedContext, cancellation: Cancellation) -> int | None:
    """Return seconds since 1970; None for a context that has no time, as a directory on this machine.

    Args:
        source: which context.
        fetched: how it came.
        cancellation: ends it.

    Raises:
        SourceError: git does not tell.
    """
    match source.chosen:
        case GitSource():
            moment: int | None = commit_time(fetched.directory, cancellation)
        case HTTPSource(unpacked=unpacked):
            moment = fetched.modified
            if moment is None and unpacked:
                moment = _latest(fetched.directory)
        case _:
            return None
    # A commit and an archive may name any time.
    return None if moment is None else min(max(moment, _NONE), EPOCH_LIMIT)


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
