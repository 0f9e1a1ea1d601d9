"""Lets long loops end early: what starts work says what stops it, loops deep inside ask whether it is.

A build that was stopped has a second, and a tree, an archive or a file may take minutes. What stops the work
holds for the thread that does it, as a context variable: functions need no parameter for it, and a thread
that helps another takes it over with the other's context.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from strake_oci.images import Readable

PIECE: Final = 8 << 20
"""Bytes that may be moved inside the kernel without a look: a slow disk takes a fraction of a second."""

_READ: Final = 1 << 20

Check = Callable[[], None]
"""Raises if the work is to stop."""


def _never() -> None:
    """Stop nothing."""


_check: ContextVar[Check] = ContextVar("strake_interrupt", default=_never)


def check() -> None:
    """Raise if this thread's work is to stop: for every entry of a tree and every piece of a file.

    Raises:
        Exception: whatever the check raises that was given to `interrupted_by` or `interrupt_thread`.
    """
    _check.get()()


def is_stopped() -> bool:
    """Say whether this thread's work is to stop, for what must not be left in the middle."""
    try:
        check()
    except Exception:  # noqa: BLE001 - the check says by which
        return True
    return False


def pieces(file: Readable) -> Iterator[bytes]:
    """Yield what is left of a file; each MiB is a place to stop.

    Raises:
        OSError: it cannot be read.
        Exception: it is to stop; see `check`.
    """
    while data := file.read(_READ):
        check()
        yield data


@contextlib.contextmanager
def interrupted_by(stop: Check) -> Iterator[None]:
    """Have what this thread does in the context stopped by a check.

    Args:
        stop: raises if the work is to stop; called very often.
    """
    before = _check.set(stop)
    try:
        yield
    finally:
        _check.reset(before)


def interrupt_thread(stop: Check) -> None:
    """Have all that this thread does from now on stopped by a check: the initializer of a pool's threads."""
    _check.set(stop)
