"""Why a RUN command failed: from its status, and from what memory and disk were like meanwhile.

A status alone says little: 137 is any SIGKILL, and a program that cannot write need not say so.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from strake_builder.errors import BuildError, OutOfDiskError, OutOfMemoryError, RunStepError
from strake_builder.sandbox.crun import Outcome
from strake_builder.sandbox.memory import Memory
from strake_oci.lazy_dataclass import dataclass

_KILLED: Final = 137
_MORE_MEMORY: Final = "raise spec.resources.limits.memory, or do less at a time"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was going on while a command ran, of the whole container: stages run side by side.

    Attributes:
        killed: processes that the kernel killed for lack of memory; None where that is not to be known.
        memory: as it was when the command ended.
        disk_was_full: whether the work directory had no room.
    """

    killed: int | None
    memory: Memory
    disk_was_full: bool


def run_failure(outcome: Outcome, command: str, during: Surroundings) -> BuildError | None:
    """Return why a command failed; None where it did not.

    Args:
        outcome: How it ended.
        command: As a person is to read it.
        during: What was going on.
    """
    if not outcome.status:
        return None
    status, tail = outcome.status, outcome.tail
    if during.killed and status == _KILLED and not outcome.runtime_message:
        used = f": {during.memory.words}" if during.memory.words else ""
        message = f"the command {command} was killed for lack of memory{used}"
        return OutOfMemoryError(message, hint=_MORE_MEMORY, exit_code=status, log_tail=tail)
    happened = f"ended with exit code {status}"
    if outcome.runtime_message:
        happened = f"could not be started: {outcome.runtime_message}"
    if during.disk_was_full or _ran_out_of_room(outcome.runtime_message):
        message = f"the command {command} {happened}: the work directory is full"
        hint = "give the builder more ephemeral storage"
        return OutOfDiskError(message, hint=hint, exit_code=status, log_tail=tail)
    if outcome.runtime_message:
        message = f"cannot start {command}: {outcome.runtime_message}"
        hint = _start_hint(outcome.runtime_message)
        return RunStepError(message, exit_code=status, log_tail=tail, hint=hint)
    return RunStepError(
        f"the command {command} {happened}", exit_code=status, log_tail=tail, hint=_hint(status, during)
    )


def _ran_out_of_room(runtime_message: str) -> bool:
    return any(os.strerror(number) in runtime_message for number in (errno.ENOSPC, errno.EDQUOT))


def _hint(status: int, during: Surroundings) -> str:
    """Return what to try. A compiler that was killed shows as the status of make: only the kernel tells."""
    if not during.killed:
        return _OTHER_KILL if status == _KILLED and during.killed == 0 else _HINTS.get(status, "")
    processes = "a process" if during.killed == 1 else f"{during.killed} processes"
    used = f" ({during.memory.words})" if during.memory.words else ""
    return f"meanwhile the kernel killed {processes} of the build for lack of memory{used}: {_MORE_MEMORY}"


_OTHER_KILL: Final = "something ended it with SIGKILL, and not the kernel for lack of memory"
_HINTS: Final[dict[int, str]] = {
    126: "the file is there but cannot be executed: check its mode and its first line",
    127: "a program was not found: install it in an earlier step, or check PATH",
    _KILLED: "it was killed (SIGKILL), most often for lack of memory",
    139: "it crashed (SIGSEGV): is the image built for this processor?",
}


def _start_hint(runtime_message: str) -> str:
    if any(word in runtime_message for word in ("executable", "exec container process")):
        return "check that the program exists in the image and that its interpreter does"
    return ""
