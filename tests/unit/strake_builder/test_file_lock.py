"""Locks that are waited for until they are free, or the work is to stop."""

from __future__ import annotations

import os
import threading

import pytest

from strake_builder import interrupt
from strake_builder.file_lock import locked_file, try_lock

HANG_SECONDS = 180


class StoppedError(Exception):
    """The work is to stop."""


def never() -> None:
    raise AssertionError("nobody has the lock")


def test_a_lock_that_is_free_is_had_at_once_and_let_go(tmp_path):
    path = str(tmp_path / "lock")
    for _ in range(2):
        with locked_file(path, never):
            fd = os.open(path, os.O_RDWR)
            assert not try_lock(fd)
        assert try_lock(fd)
        os.close(fd)


def test_who_waits_says_so_and_has_the_lock_once_it_is_free(tmp_path):
    path, told = str(tmp_path / "lock"), threading.Event()
    had = []

    def wait() -> None:
        with locked_file(path, told.set):
            had.append(True)

    waiting = threading.Thread(target=wait, daemon=True)
    with locked_file(path, never):
        waiting.start()
        assert told.wait(HANG_SECONDS)
        assert not had
    waiting.join(HANG_SECONDS)
    assert had == [True]


def test_a_stop_ends_the_waiting_and_lets_go_of_the_file(tmp_path):
    path, stops = str(tmp_path / "lock"), threading.Event()

    def stop() -> None:
        if stops.is_set():
            raise StoppedError

    before = len(os.listdir("/proc/self/fd"))
    with (
        locked_file(path, never),
        interrupt.interrupted_by(stop),
        pytest.raises(StoppedError),
        locked_file(path, stops.set),
    ):
        raise AssertionError("two have one lock")
    assert len(os.listdir("/proc/self/fd")) == before
