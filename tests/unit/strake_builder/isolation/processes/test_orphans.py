"""Real processes that do not want to end, of a user that may have a few hundred of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """\
import os, resource, signal, subprocess, sys
from strake_builder.isolation.processes import orphans
from strake_builder.rootfs.mounts import syscalls

looks = 0
listdir = os.listdir
def counted(path):
    global looks
    looks += path == "/proc"
    return listdir(path)
os.listdir = counted

syscalls.adopt_orphans()
def become():
    resource.setrlimit(resource.RLIMIT_NPROC, (400, 400))
    os.setresuid(54322, 54322, 54322)
subprocess.Popen(["sh", "-c", sys.argv[1]], preexec_fn=become, stderr=subprocess.DEVNULL)
subprocess.run(["sleep", "1"])
orphans.end_children()
left = subprocess.run(["pgrep", "-c", "-U", "54322"], stdout=subprocess.PIPE, text=True).stdout
print(left, looks)
"""
BOMB = "bomb() { bomb | bomb; }; while :; do bomb; done"
ESCAPING = """export B='setsid sh -c "$B" & setsid sh -c "$B" & wait'; while :; do sh -c "$B"; done"""
CROWD = "i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; exec sleep 1000"


def ended(command: str) -> tuple[int, int]:
    """Start a command, and end it, in a process of its own; return what is left, and how often /proc was listed."""
    words = [sys.executable, "-c", SCRIPT, command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    left, looks = map(int, done.stdout.split())
    return left, looks


@pytest.mark.parametrize("command", [BOMB, CROWD, ESCAPING], ids=["bomb", "crowd", "escaping bomb"])
def test_nothing_is_left(command):
    assert ended(command)[0] == 0


def test_a_crowd_is_not_looked_for_once_for_each():
    """With thousands of processes each look takes long, and a step's end took minutes.

    On a busy machine they end a few at a time, and each time is a look: that is no look for each of 300.
    """
    assert ended(CROWD)[1] < 150
