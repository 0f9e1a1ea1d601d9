"""A signal or the time limit ends a build in the middle of a COPY of very many files."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

FILES = 150_000
WITHIN = 5.0
"""Seconds from the signal to the end of the process, on a busy machine; the COPY takes several times as long."""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A context of many files, in memory."""
    directory = tmp_path_factory.mktemp("many")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    try:
        for number in range(FILES // 1000):
            (directory / f"d{number}").mkdir()
            for name in range(1000):
                os.close(os.open(directory / f"d{number}/{name}", os.O_CREAT | os.O_WRONLY))
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_a_signal(builder, many, rootfs):
    (many / "Dockerfile").write_text(f"FROM {builder.names['TINY']}\nCOPY . /x/\n")
    process = builder.start("--no-push", "--context", str(many), "--rootfs", rootfs)
    while not any(builder.work.glob("strake-build-*/roots/*/*/x/d0")):
        assert process.poll() is None
        time.sleep(0.01)  # nothing tells of a file; the loop ends when it is there
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - sent < WITHIN
    assert process.returncode == 143, errors
    assert builder.left_behind() == []


def test_the_time_limit(builder, many):
    (many / "Dockerfile").write_text(f"FROM {builder.names['TINY']}\nCOPY . /x/\n")
    started = time.monotonic()
    done = builder.run("--no-push", "--context", str(many), "--timeout", "2")
    assert time.monotonic() - started < 2 + WITHIN
    assert done.returncode == 10, done.stderr
    assert builder.left_behind() == []
