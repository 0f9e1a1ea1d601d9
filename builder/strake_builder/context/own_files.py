"""What Strake itself keeps inside a context is no part of it.

A CI job may be able to write nowhere but in its checkout, so that the work directory and the cache lie inside
the context. A COPY that read them would copy its own copy, without end.
"""

from __future__ import annotations

import os
import re
from typing import Final

from strake_builder.errors import InvalidRequestError

WORKSPACE_PREFIX: Final = "strake-build-"
"""How every workspace, and the lock beside it, is named."""
_SPECIAL: Final = re.compile(r"[\\*?\[\]^!#]")


def own_patterns(context: str, work_directory: str, caches: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the ignore patterns for what is Strake's own in a context.

    A work directory inside the context is left out as a whole. Where the context itself is the work
    directory, the workspaces in it are.

    Args:
        context: the directory, without links in its path.
        work_directory: where workspaces are made.
        caches: directories that outlive a build.

    Raises:
        InvalidRequestError: the cache directory is the context itself, where its files cannot be
            distinguished.
    """
    work = _inside(context, work_directory)
    patterns = [] if work is None else [_escaped(work) if work else f"{WORKSPACE_PREFIX}*"]
    for directory in caches:
        cache = _inside(context, directory)
        if cache == "":
            raise InvalidRequestError(
                "the cache directory is the context itself", hint="name a directory in it, or outside"
            )
        if cache is not None:
            patterns.append(_escaped(cache))
    return tuple(patterns)


def _inside(context: str, path: str) -> str | None:
    """Return a path relative to the context, "" for the context itself; None where it lies elsewhere."""
    relative = os.path.relpath(os.path.realpath(path), context)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep):
        return None
    return "" if relative == os.curdir else relative


def _escaped(path: str) -> str:
    literal = _SPECIAL.sub(r"\\\g<0>", path)
    return re.sub(r"\s", r"[\g<0>]", literal)  # white space at the ends of a pattern does not count
