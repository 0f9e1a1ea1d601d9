"""A program that `make setup` does not install is noticed, however it is started."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cluster.binaries import COMPONENTS
from tests.setup import started
from tests.setup.programs import BENCHMARK_TOOLS, TOOLS, declared_packages, search_path
from tests.setup.started import StartedPrograms, _always_installed, _packages

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def forgotten(monkeypatch):
    """The tables as they were when somebody forgot git."""
    declared = declared_packages()
    assert "git" in declared
    monkeypatch.setattr(started, "declared_packages", lambda: declared - {"git"})


FORMS = [
    (None, ["git", "--version"]),
    ("git", ["an other name"]),
    (b"git", [b"git"]),
    (Path("git"), [Path("git")]),
    (None, [shutil.which("git")]),
    (None, ["nice", "-n", "1", "git", "status"]),
    (None, ["unshare", "--net", "sh", "-c", "cd /; exec git status"]),
    (None, ["env", "A=b", "bash", "-e", "-c", "git status | cat"]),
]


@pytest.mark.parametrize(("executable", "words"), FORMS)
def test_a_forgotten_program_is_named_with_its_package(forgotten, executable, words):
    programs = StartedPrograms()
    programs.add(executable, words, None)
    assert [line.partition(" ")[2] for line in programs.undeclared()] == [
        "of the package git is not in tests/setup/programs.py"
    ]


@pytest.mark.parametrize(("executable", "words"), FORMS)
def test_declared_programs_and_those_of_every_debian_are_silent(executable, words):
    programs = StartedPrograms()
    programs.add(executable, words, None)
    programs.add(None, ["cat"], None)
    programs.add(None, ["no-such-program"], None)
    programs.add(sys.executable, [sys.executable], None)
    assert programs.undeclared() == []


def test_what_was_put_there_by_hand_is_noticed(monkeypatch, tmp_path):
    program = tmp_path / "by-hand"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/nonexistent")
    programs = StartedPrograms()
    programs.add(None, ["by-hand"], str(tmp_path))
    assert programs.undeclared() == [f"{program} belongs to no Debian package"]


def test_starts_of_a_process_are_heard():
    """In a process of its own: Python keeps an audit hook for ever."""
    script = (
        "import os, subprocess, asyncio\n"
        "from tests.setup.started import StartedPrograms\n"
        "programs = StartedPrograms(); programs.watch()\n"
        "subprocess.run(['git', '--version'], stdout=-3)\n"
        "asyncio.run(asyncio.create_subprocess_exec('tar', '--version', stdout=-3))\n"
        "os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)\n"
        "print(sorted(os.path.basename(name) for name, _ in programs._asked))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "['git', 'tar', 'true']\n"


def test_the_programs_that_sources_name_are_declared():
    """Benchmarks do not run here, so what they and the sources name outright is read from their text."""
    named = {
        word
        for folder in ("tests", "benchmarks", "builder", "operator")
        for source in (ROOT / folder).rglob("*.py")
        if "unit" not in source.parts
        for word in _words_started(ast.parse(source.read_bytes()))
    }
    assert {"git", "skopeo", "mkfs.ext4"} <= named  # the search finds what it is for
    declared = {*TOOLS, *BENCHMARK_TOOLS, *COMPONENTS}
    packages = _packages(
        Path(found) for word in named - declared if (found := shutil.which(word, path=search_path()))
    )
    assert {
        program.name: package for program, package in packages.items() if package not in _always_installed()
    } == {}


def _words_started(tree: ast.AST) -> set[str]:
    """Return the constants that stand first in a list which a call of subprocess gets."""
    firsts = {
        call.args[0].elts[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"run", "Popen", "check_call", "check_output"}
        and call.args
        and isinstance(call.args[0], ast.List)
        and isinstance(call.args[0].elts[0], ast.Constant)
    }
    return {first for first in firsts if isinstance(first, str) and os.sep not in first}
