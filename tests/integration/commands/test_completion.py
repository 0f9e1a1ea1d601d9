"""Completion as a person at a terminal has it: in real shells, with the Tab key."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from tests.fixtures.building.builds import STRAKE

TYPED = [
    ("strake insp", "strake inspect "),
    ("strake build --dockerf", "strake build --dockerfile "),
    ("strake inspect --format js", "strake inspect --format json "),
    ("strake completion zs", "strake completion zsh "),
    ("strake build --digest-file some-f", "strake build --digest-file some-file "),
    ("strake push some-f", "strake push some-file "),
    ("strake build --oci-layout-path some-d", "strake build --oci-layout-path some-dir/"),
]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x07\r]")
_START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
_SETUP = {
    "bash": "PS1='ready> '; source {script}; echo set''up\n",
    "zsh": "PS1='ready> '; fpath+={directory}; autoload -Uz compinit; compinit -u -D; echo set''up\n",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A directory with the script of each shell."""
    directory = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        printed = subprocess.run(
            [STRAKE, "completion", shell], capture_output=True, text=True, check=True, timeout=180
        )
        assert not printed.stderr
        (directory / ("_strake" if shell == "zsh" else shell)).write_text(printed.stdout)
    return directory


class Terminal:
    """A shell at a terminal."""

    def __init__(self, shell, script, directory):
        self._terminal, other = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "dumb", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            _START[shell],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        os.close(other)
        self._seen = ""
        self.type(_SETUP[shell].format(script=script, directory=script.parent))
        self.wait_for("\nsetup\n")

    def type(self, text):
        os.write(self._terminal, text.encode())

    def wait_for(self, text):
        """Return once the terminal shows a text after what was waited for before."""
        deadline = time.monotonic() + 180
        while text not in _ESCAPES.sub("", self._seen):
            assert time.monotonic() < deadline, f"no {text!r} in {self._seen!r}"
            if select.select([self._terminal], [], [], 0.2)[0]:
                self._seen += os.read(self._terminal, 65536).decode(errors="replace")
        self._seen = ""

    def close(self):
        self._process.kill()
        self._process.wait(180)
        os.close(self._terminal)


@pytest.fixture(params=["bash", "zsh"])
def terminal(request, scripts, tmp_path):
    (tmp_path / "some-file").touch()
    (tmp_path / "some-dir").mkdir()
    opened = Terminal(request.param, scripts / request.param, tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(("typed", "completed"), TYPED)
def test_the_tab_key(terminal, typed, completed):
    terminal.type(f"{typed}\t")
    terminal.wait_for(completed)


@pytest.mark.parametrize(("typed", "completed"), TYPED)
def test_fish(scripts, tmp_path, typed, completed):
    (tmp_path / "some-file").touch()
    (tmp_path / "some-dir").mkdir()
    asked = f"source {scripts}/fish; complete -C '{typed}'"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=180,
    )
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [completed.split()[-1]], (
        done.stderr
    )


def test_a_shell_that_is_not_known():
    done = subprocess.run([STRAKE, "completion", "ksh"], capture_output=True, text=True, timeout=180)
    assert done.returncode == 2
    assert "bash" in done.stderr


def test_without_the_library(tmp_path):
    hidden = "import sys; sys.modules['shtab'] = None; from strake_builder.cli.main import main; main(['completion', 'bash'])"
    done = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path, timeout=180
    )
    assert done.returncode == 13
    assert "pip install 'strake[completion]'" in done.stderr
    assert done.stdout == ""


def test_other_commands_do_not_load_it():
    names = "import sys; from strake_builder.cli.main import _parser; _parser(['copy']); print('shtab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, timeout=180)
    assert done.stdout == "False\n"
