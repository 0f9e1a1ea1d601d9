"""The exit status of a command that waited for a build: that of `strake build` for the same failure."""

from __future__ import annotations

from strake_builder import errors
from strake_builder.errors import BuildError
from strake_kubectl.builds import Build


def exit_status(build: Build) -> int:
    """Return the exit status of a build that has ended."""
    if build.has_succeeded:
        return 0
    return _STATUSES.get(build.reason, 1)


_STATUSES = {
    str(kind.reason): kind.exit_status
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, BuildError)
    and "reason" in vars(kind)
    and "exit_status" in vars(kind)
}
"""Reason → exit status, of the builder's errors. What happens to a pod is none of them, and ends with 1."""
