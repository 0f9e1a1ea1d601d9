"""Which form of log a command line means, by its flags and by where the output goes."""

from __future__ import annotations

import argparse
import io
import subprocess
import sys

import pytest

from strake_builder.cli.flags.log import add_log_flags, read_log
from strake_builder.progress.style import LogStyle


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def style(monkeypatch):
    """Returns the style that flags mean, on terminals unless said otherwise."""

    def read(*flags: str, stdout: bool = True, stderr: bool = True, **environment: str) -> LogStyle:
        for name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdout", Stream(terminal=stdout))
        monkeypatch.setattr(sys, "stderr", Stream(terminal=stderr))
        parser = argparse.ArgumentParser()
        add_log_flags(parser.add_argument_group())
        arguments = parser.parse_args(flags)
        return read_log(arguments)

    return read


@pytest.mark.parametrize("flags", [[], ["--progress=auto"], ["--progress=tty"]])
def test_a_terminal_gets_a_live_view(style, flags):
    found = style(*flags)
    assert (found.live, found.format, found.colours, found.level) == (True, "text", True, "info")


@pytest.mark.parametrize(
    "flags",
    [
        ["--progress=plain"],
        ["--progress=quiet"],
        ["--progress=json"],
        ["--log-format=text"],
        ["--log-format=color"],
        ["--log-format=json", "--progress=tty"],
        ["--verbosity=debug"],
        ["--log-timestamp"],
    ],
)
def test_who_asks_for_lines_gets_lines(style, flags):
    assert not style(*flags).live


@pytest.mark.parametrize(
    "place",
    [
        {"stdout": False},
        {"stderr": False},
        {"CI": "true"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_a_view_comes_unasked_only_where_it_suits(style, place):
    assert not style(**place).live


@pytest.mark.parametrize("place", [{"stdout": False}, {"CI": "true"}, {"NO_COLOR": "1"}], ids=str)
def test_a_view_that_is_asked_for(style, place):
    found = style("--progress=tty", **place)
    assert found.live
    assert found.plain == ("NO_COLOR" in place)


@pytest.mark.parametrize("place", [{"stderr": False}, {"TERM": "dumb"}], ids=str)
def test_a_view_that_nobody_could_see_is_refused(style, place, capfd):
    with pytest.raises(SystemExit) as ended:
        style("--progress=tty", **place)
    assert ended.value.code == 2


def test_a_build_without_a_view_does_not_load_its_library():
    program = "import strake_builder.cli.building, sys; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
