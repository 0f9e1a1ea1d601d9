"""`strake build --progress=tty` in a pseudo-terminal: what was drawn, and how the terminal is left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest

from tests.fixtures.terminal import Terminal

WIDTH, HEIGHT = 90, 30
_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes standard input the terminal from which a program gets signals."""


class Screen:
    """A pseudo-terminal with a program on it."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        self.output = b""
        self._program = subprocess.Popen(
            [sys.executable, "-c", _IN_TERMINAL, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(slave)

    def read_until(self, end: bytes) -> None:
        """Read until something was drawn."""
        while end not in self.output:
            piece = self._read()
            assert piece, self.output
            self.output += piece

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """Read to the end, and return the exit status."""
        while piece := self._read():
            self.output += piece
        return self._program.wait(120)

    def _read(self) -> bytes:
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            return os.read(self._master, 65_536)
        return b""

    def lines(self) -> list[str]:
        """Return what is on the screen; a sequence that the view must not send is a failure."""
        terminal = Terminal(WIDTH, HEIGHT)
        terminal.feed(self.output.decode())
        return terminal.lines

    def close(self) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._master)


@pytest.fixture
def start(builder):
    """Starts a build of a Dockerfile in a terminal."""
    with contextlib.ExitStack() as stack:

        def started(dockerfile: str, *flags: str, **environment: str) -> Screen:
            builder.context(dockerfile)
            screen = Screen(builder.command(*flags), builder.environment(**environment))
            stack.callback(screen.close)
            return screen

        yield started


HOSTILE = "RUN printf '\\033]0;owned\\007\\033[2J\\033[9A\\233H[red]x[/]\\000\\377\\n' && sleep 1 && head -c 100000 /dev/zero\n"
"""Writes titles, movements, markup, NUL, what is no UTF-8, and a line of 100,000 bytes; long enough to be drawn."""


@pytest.mark.parametrize("flags", [["--progress=tty"], []], ids=["asked", "auto"])
def test_a_hostile_step_is_drawn_and_nothing_of_it_stays(start, builder, flags):
    screen = start(f"FROM TINY\n{HOSTILE}", *flags)
    assert screen.end() == 0, screen.output
    assert b"building, 0 of 1 steps" in screen.output
    assert b"[red]x[/]" in screen.output
    lines = screen.lines()
    assert [line for line in lines if line.startswith("#1/1 [stage-0] RUN printf")], lines
    assert not [line for line in lines if line.startswith(("   | ", "building"))]
    digest = next(line for line in lines if line.startswith("sha256:"))
    assert lines[-1].endswith(digest[-20:]), "the image's name, on standard output"


def test_a_step_that_fails_is_shown_with_its_line_and_the_end_of_its_output(start):
    screen = start("FROM TINY\nRUN echo oh; exit 3\n", "--progress=tty", "--no-push", NO_COLOR="1")
    assert screen.end() == 7
    lines = screen.lines()
    assert lines[0].startswith("#1/1 [stage-0] RUN echo oh; exit 3  FAILED after ")
    assert lines[1:5] == [
        "the end of its output:",
        "  oh",
        "     2 | RUN echo oh; exit 3",
        "       | ^^^",
    ]
    assert lines[5].startswith("error: Dockerfile:2: ")
    assert b"\x1b[3" not in screen.output, "a colour"


def test_a_build_that_is_stopped_leaves_the_terminal_as_it_was(start):
    screen = start("FROM TINY\nRUN echo ready; sleep 300\n", "--progress=tty", "--no-push")
    screen.read_until(b"| ready")
    screen.press(b"\x03")
    assert screen.end() == 143
    lines = screen.lines()
    assert not [line for line in lines if line.startswith(("   | ", "building"))]
    assert "stopped by SIG" in lines[-1]


@pytest.mark.parametrize(
    "environment", [{"CI": "true"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["CI", "no colours", "dumb"]
)
def test_lines_alone_where_a_view_would_not_suit(start, environment):
    screen = start("FROM TINY\nRUN echo hello\n", "--no-push", **environment)
    assert screen.end() == 0
    assert b"\x1b[" not in screen.output or "CI" in environment
    assert "#1 | hello" in [line.replace("\x1b[0m", "") for line in screen.lines()]


def test_a_view_is_refused_where_there_is_no_terminal(builder):
    builder.context("FROM TINY\n")
    done = builder.run("--progress=tty")
    assert done.returncode == 2
    assert "argument --progress: tty: standard error is no terminal" in done.stderr
    assert "try plain" in done.stderr
