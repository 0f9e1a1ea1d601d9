"""Signals that end a command, received whatever its main thread waits for.

Python runs a signal's handler in the main thread, when that thread comes back to the interpreter. For a
signal that comes just before a wait without a limit begins, that is when the wait is over: with a silent
registry, never. So nothing here depends on the main thread: the interpreter's own handler writes the number
into a pipe at once (`signal.set_wakeup_fd`), and it is read there. A handler that did more might find the
main thread inside a lock that it needs itself: `Event.set` while `Event.wait` holds it waits for ever.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from strake_builder.errors import BuildCancelledError
from strake_builder.isolation.supervise import STOPPING

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation


class StopSignals:
    """The signals that end a command, from now on. Made once, in the main thread."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in STOPPING:
            signal.signal(number, _ignore)  # without a handler in Python nothing is written to the pipe

    def wait(self) -> signal.Signals:
        """Wait for the next one, in any one thread; one that came before it was waited for counts."""
        return signal.Signals(os.read(self._reading, 1)[0])


def cancel_on_signal(cancellation: Cancellation, *, once: bool = False) -> None:
    """Cancel the work when a signal comes. Called once, in the main thread.

    Args:
        cancellation: What to cancel; its callbacks run in a thread of their own.
        once: The second signal ends the process at once.
    """
    arguments = [StopSignals(), cancellation, once]
    threading.Thread(target=_cancel, args=arguments, name="signals", daemon=True).start()


def _ignore(_number: int, _frame: object) -> None:
    """What reads the pipe acts on the signal."""


def _cancel(signals: StopSignals, cancellation: Cancellation, once: bool) -> None:
    is_second = False
    while True:
        number = signals.wait()
        if once and is_second:
            os._exit(128 + number)
        is_second = True
        reason = BuildCancelledError(f"stopped by {number.name}")
        # A callback may wait, and the next signal must not wait for it.
        threading.Thread(target=cancellation.cancel, args=[reason], daemon=True).start()
