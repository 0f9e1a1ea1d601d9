"""How much the kernel takes of a new program's arguments and environment (execve(2), "Limits")."""

from __future__ import annotations

import os
from typing import Final

from strake_builder.errors import StepError
from strake_builder.sandbox.process import Process

_PAGES: Final = 32
_POINTER: Final = 8


def refuse_long_arguments(process: Process) -> None:
    """Make sure that a command can be started.

    One argument, or one variable, may have 32 pages less a byte (MAX_ARG_STRLEN), all together a quarter of
    the stack's limit. Beyond that execve fails with E2BIG, which a runtime reports in words of its own.

    Raises:
        StepError: it cannot; the message tells what is too long, the hint what to do instead.
    """
    one = _PAGES * os.sysconf("SC_PAGE_SIZE") - 1
    for argument in process.argv:
        if (size := _size(argument)) > one:
            raise StepError(
                f"an argument of the command has {size:,} bytes, and the kernel takes {one:,} of one",
                hint="write the script into a file (COPY <<script /tmp/script) and run it; a heredoc of RUN "
                "that begins with #!/bin/sh is passed as a file, too",
            )
    for variable in process.environment:
        if (size := _size(variable)) > one:
            name = variable.partition("=")[0][:100]
            raise StepError(
                f"the variable {name} has {size:,} bytes with its name, and the kernel takes {one:,} of one",
                hint="RUN cannot start with it: shorten it, or keep its content in a file",
            )
    everything, most = (*process.argv, *process.environment), os.sysconf("SC_ARG_MAX")
    if (total := sum(_size(each) + 1 + _POINTER for each in everything)) > most:
        raise StepError(
            f"arguments and environment of the command have {total:,} bytes, and the kernel takes {most:,}",
            hint="RUN cannot start with them: keep large values in files",
        )


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))
