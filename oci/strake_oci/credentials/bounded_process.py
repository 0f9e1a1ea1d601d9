"""Runs an untrusted program with limits on its time and output.

`subprocess.run` waits for every process that holds the output open, also for what the
program left in the background, and keeps whatever comes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE: Final = 64 * 1024


class TooMuchOutputError(Exception):
    """The program printed more than it may."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended.

    Attributes:
        status: Its exit status; negative for a signal.
        output: What it printed.
        complaint: What it printed on standard error.
    """

    status: int
    output: bytes
    complaint: bytes


def run(command: Sequence[str], data: bytes, *, seconds: float, limit: int) -> Ended:
    """Run a program to its end; on any other way out of here it is killed, with all that it started.

    Args:
        command: The program's path, and its arguments.
        data: Its standard input, kept in memory only.
        seconds: That it may take.
        limit: Bytes that it may print on each of its outputs.

    Raises:
        TimeoutError: It took too long.
        TooMuchOutputError: It printed too much.
        OSError: It cannot be started.
    """
    with open(os.memfd_create("input"), "w+b", buffering=0) as question:
        question.write(data)
        question.seek(0)
        with subprocess.Popen(
            command,
            stdin=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        ) as process:
            try:
                output, complaint = _read(process, time.monotonic() + seconds, limit)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    return Ended(process.returncode, output, complaint)


def _read(process: subprocess.Popen[bytes], deadline: float, limit: int) -> tuple[bytes, bytes]:
    """Return what the program prints until it ends."""
    assert process.stdout  # noqa: S101 narrows the type
    assert process.stderr  # noqa: S101 narrows the type
    read = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    end = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as ready:
            for descriptor in (*read, end):
                ready.register(descriptor, selectors.EVENT_READ)
            ended = False
            while events := ready.select(0 if ended else max(0.0, deadline - time.monotonic())):
                for key, _ in events:
                    ended = ended or key.fd == end
                    if key.fd == end or not _take(key.fd, read[key.fd], limit):
                        ready.unregister(key.fd)
                if not ready.get_map():
                    break
            if not ended:
                raise TimeoutError
    finally:
        os.close(end)
    output, complaint = map(bytes, read.values())
    return output, complaint


def _take(descriptor: int, into: bytearray, limit: int) -> int:
    piece = os.read(descriptor, _PIECE)
    into += piece
    if len(into) > limit:
        raise TooMuchOutputError
    return len(piece)
