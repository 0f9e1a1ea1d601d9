"""A signal ends a command even if its main thread cannot run a handler."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.narrow import present

ROOT = Path(__file__).parents[4]

_MUTE_MAIN_THREAD = """
import signal, sys, threading
from strake_builder.cli.signals import STOPPING, cancel_on_signal
from strake_oci.cancellation import Cancellation
cancellation, stopped = Cancellation(), threading.Event()
cancel_on_signal(cancellation, once=True)
cancellation.on_cancel(lambda reason: print(reason, flush=True))
{callback}
# What a wait does that begins just after the signal came: the main thread takes none and returns from none.
signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
print("ready", flush=True)
stopped.wait()
"""


@pytest.fixture
def waiting():
    """Start a command whose main thread waits; its callback is a line of Python."""
    started = []

    def start(callback: str) -> subprocess.Popen[str]:
        script = _MUTE_MAIN_THREAD.format(callback=callback)
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert present(process.stdout).readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_the_main_thread_waits(waiting, number):
    process = waiting("cancellation.on_cancel(lambda _: stopped.set())")
    process.send_signal(number)
    out, _ = process.communicate(timeout=180)
    assert f"stopped by {number.name}" in out
    assert process.returncode == 0


def test_the_second_signal_ends_what_does_not_stop(waiting):
    process = waiting("cancellation.on_cancel(lambda _: threading.Event().wait())")
    process.send_signal(signal.SIGINT)
    assert "stopped by SIGINT" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=180) == 128 + signal.SIGTERM


_SIGNAL_BEFORE_THE_WAIT = """
import signal
from strake_builder.cli.signals import StopSignals
signals = StopSignals()
signal.raise_signal(signal.SIGTERM)
print(signals.wait().name)
"""


def test_a_signal_that_came_before_the_wait_ends_it():
    command = [sys.executable, "-c", _SIGNAL_BEFORE_THE_WAIT]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=180, check=True)
    assert done.stdout == "SIGTERM\n"


def test_no_handler_waits_for_a_lock_that_its_thread_may_hold():
    """Handlers in Python run between any two lines of the main thread: what acts on a signal reads a pipe."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("api", "builder", "kubectl", "oci", "operator")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "signal.signal"
        if ast.unparse(node.args[1]) not in {"signal.SIG_IGN", "signal.SIG_DFL", "_ignore"}
    ]
    assert found == []
