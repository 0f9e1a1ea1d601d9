"""Real processes: the spawner forks, so each test has one in a process of its own that has one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from strake_builder.isolation.processes.spawner import Command, Spawner
from tests.fixtures.narrow import present


@pytest.fixture
def spawner():
    if threading.active_count() > 1:
        pytest.fail("a fork needs a process with one thread")
    made = Spawner()
    yield made
    made._socket.close()


def run(spawner: Spawner, script: str, **fields: Any) -> tuple[int, str, str]:
    reader, writer = os.pipe()
    environment = (("PATH", os.environ["PATH"]),)
    child = spawner.start(Command(("sh", "-c", script), environment, **fields), writer, writer)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    return child.wait(), text, child.refusal


def test_status_and_output_come_back(spawner):
    assert run(spawner, "echo hello; exit 7") == (7, "hello\n", "")


def test_a_signal_is_told_as_one(spawner):
    assert run(spawner, "kill -KILL $$")[0] == -signal.SIGKILL


def test_a_program_that_is_not_there_is_refused_by_name(spawner):
    child = spawner.start(Command(("no-such-program",), ()), 1, 2)
    assert child.wait() == 127
    assert child.refusal == "no-such-program: No such file or directory"


def test_the_directory_and_the_umask_are_the_commands(spawner, tmp_path):
    assert run(spawner, "pwd; umask", directory=str(tmp_path), umask=0o077)[1] == f"{tmp_path}\n0077\n"


def test_what_is_left_running_is_ended_however_it_hides(spawner, tmp_path):
    script = f"setsid sh -c 'trap \"\" TERM HUP; echo $$ > {tmp_path}/pid; exec sleep 1000' & while [ ! -s {tmp_path}/pid ]; do :; done"
    started = time.monotonic()
    status, _, _ = run(spawner, script + "; exec >&- 2>&-")
    assert status == 0
    assert time.monotonic() - started < 60
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_it_ends_when_it_is_asked_to(spawner):
    child = spawner.start(Command(("sleep", "1000"), (("PATH", os.environ["PATH"]),)), 1, 2)
    child.terminate()
    assert child.wait() == -signal.SIGTERM


def test_a_second_thread_learns_of_the_end(spawner):
    child = spawner.start(Command(("sleep", "1000"), (("PATH", os.environ["PATH"]),)), 1, 2)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0)
    assert child.poll() is None
    child.kill()
    child.wait()
    assert child.wait(0) == child.poll() == -signal.SIGKILL
    child.kill()  # it is gone, and that is no error


def test_steps_end_with_a_builder_that_is_killed(tmp_path):
    program = f"""
        import os, sys
        from strake_builder.isolation.processes.spawner import Command, Spawner
        spawner = Spawner()
        script = "echo $$ > {tmp_path}/pid; exec sleep 1000"
        child = spawner.start(Command(("sh", "-c", script), (("PATH", os.environ["PATH"]),)), 1, 2)
        while not os.path.exists("{tmp_path}/pid") or not open("{tmp_path}/pid").read():
            pass
        print("started", flush=True)
        child.wait()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as builder:
        assert present(builder.stdout).readline() == "started\n"
        builder.kill()
        assert present(builder.stdout).read() == ""  # until every process that has the pipe is gone
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
