"""Turns exceptions that no code expected into errors that a person can act on.

Refusals of the system (a full disk, too few descriptors, a failing disk) are no defect, and there is
something to try. All else is a defect of Strake: one line says which and where, and what to report.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import Final

from strake_builder.errors import (
    BuildError,
    InternalError,
    OutOfDiskError,
    OutOfMemoryError,
    UnsupportedError,
)

DEBUG: Final = "STRAKE_DEBUG"
"""The variable of the environment that has tracebacks printed: they may show values, so only on request."""

_PACKAGES: Final = Path(__file__).parents[1]


def from_os_error(error: OSError, what: str, otherwise: type[BuildError] = InternalError) -> BuildError:
    """Return the error of a build for a refusal of the operating system.

    Args:
        error: The refusal.
        what: What failed, a clause: "cannot unpack the layer sha256:…".
        otherwise: What it is where the system's resources are not the reason.
    """
    reason = f"{what}: {error.strerror or error}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return OutOfDiskError(
                f"{what}: the work directory is full", hint="give the builder more ephemeral storage"
            )
        case errno.EMFILE | errno.ENFILE:
            return UnsupportedError(reason, hint="raise the limit of open files (ulimit -n)")
        case errno.ENOMEM:
            return OutOfMemoryError(reason, hint="give the builder more memory")
        case errno.EIO:
            return UnsupportedError(
                reason, hint="the disk fails: see the machine's kernel log, or choose another with --work-dir"
            )
        case errno.EROFS:
            return UnsupportedError(reason, hint="choose a directory that can be written, with --work-dir")
        case _:
            pass
    named = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    return otherwise(reason + named)


def internal_error(error: Exception) -> InternalError:
    """Return the error of a build for an exception that no code expected, with the line that raised it.

    With STRAKE_DEBUG in the environment the traceback goes to the standard error.
    """
    if os.environ.get(DEBUG):
        traceback.print_exception(error, file=sys.stderr)
    text = " ".join(str(error).split())
    return InternalError(
        f"{type(error).__name__}: {text}{_raised_at(error)}",
        hint=f"this is a defect of Strake: please report it with this line; {DEBUG}=1 prints a traceback",
    )


def _raised_at(error: Exception) -> str:
    """Return " (module:line)" of the innermost line of Strake's own, or "" without one."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGES / "strake_builder") or "strake_oci" in path.parts:
            start = path.parts.index("strake_oci") if "strake_oci" in path.parts else len(_PACKAGES.parts)
            return f" ({'/'.join(path.parts[start:])}:{frame.lineno})"
    return ""
