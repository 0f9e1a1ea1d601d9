"""Which programs a test run starts, so that none is used that `make setup` does not install.

A machine on which somebody installed a program by hand passes tests that a fresh machine fails. So every
program that this process starts is traced to the Debian package that has it, and a package that neither every
Debian has nor the tables of `programs.py` name fails the run. Programs of the project's own (its virtual
environment, what it compiled into the user's cache, what a test wrote) need no package.

Programs that a child process starts by itself are not seen, except through a launcher (`unshare`, `nice`, …)
or the script of `sh -c`, whose words are looked up.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.requirements import find_go
from tests.cluster.settings import CACHE
from tests.cluster.settings import DIR as CLUSTER
from tests.setup.programs import declared_packages, search_path

_ROOT = Path(__file__).resolve().parents[2]
_LAUNCHERS = frozenset({"chroot", "env", "ip", "nice", "nsenter", "setpriv", "setsid", "timeout", "unshare"})
_SHELLS = frozenset({"bash", "dash", "sh"})


class StartedPrograms:
    """Collects the programs that this process starts, from the moment that `watch` is called."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], str | None] = {}

    def watch(self) -> None:
        """Begin to collect. There is no end to it: Python removes no audit hook."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "subprocess.Popen":
            executable, words, _, environment = arguments
            path = environment.get("PATH", "") if isinstance(environment, dict) else None
            self.add(executable, words, path)  # type: ignore[arg-type] # as subprocess documents the event
        elif event in {"os.exec", "os.posix_spawn"}:
            self.add(arguments[0], arguments[1], None)  # type: ignore[arg-type] # as os documents the event

    def add(self, executable: str | bytes | None, words: Sequence[object], path: str | bytes | None) -> None:
        """Note the start of a program, and of those that its arguments name.

        Args:
            executable: The program; None for the first of the words.
            words: Its argument vector, the name first.
            path: The PATH of the program's environment; None for this process's.
        """
        searched = search_path(None if path is None else os.fsdecode(path))
        given = [words] if isinstance(words, str | bytes) else list(words)
        texts = [os.fsdecode(each) for each in given if isinstance(each, str | bytes | os.PathLike)]
        name = os.fsdecode(executable) if executable is not None else texts[0]
        self._find(name, searched)
        for started in _nested(os.path.basename(name), texts[1:]):
            self._find(started, searched)

    def _find(self, name: str, path: str) -> None:
        if (name, path) not in self._asked:
            self._asked[name, path] = shutil.which(name, path=path)

    def undeclared(self) -> list[str]:
        """Return a line for each program that `make setup` would not bring to a fresh machine."""
        found = {Path(each) for each in self._asked.values() if each is not None}
        own = _own_folders()
        foreign = sorted(each for each in found if not _is_own(each, own))
        if not foreign or shutil.which("dpkg-query") is None:  # `make setup` is for Debian alone
            return []
        allowed = declared_packages() | _always_installed()
        lines = []
        for program, package in _packages(foreign).items():
            if package is None:
                lines.append(f"{program} belongs to no Debian package")
            elif package not in allowed:
                lines.append(f"{program} of the package {package} is not in tests/setup/programs.py")
        return lines


def _nested(launcher: str, words: list[str]) -> Iterable[str]:
    """Yield the words that may name programs which a launcher or a shell's script starts."""
    if launcher in _SHELLS and "-c" in words[:-1]:
        try:
            yield from shlex.split(words[words.index("-c") + 1], comments=True)
        except ValueError:  # quotes that only the shell understands
            return
    elif launcher in _LAUNCHERS:
        for number, word in enumerate(words):
            if word.startswith("-") or "=" in word:
                continue
            yield word
            yield from _nested(os.path.basename(word), words[number + 1 :])


def _own_folders() -> set[Path]:
    """Return where the programs are that come with the project, or with the Python and Go it runs with."""
    go = find_go()
    own = {_ROOT, CACHE, CLUSTER, Path(tempfile.gettempdir()), Path(sys.prefix), Path(sys.base_prefix)}
    own |= {Path(go).resolve().parents[1]} if go is not None else set()
    return own - {Path("/usr")}  # with Debian's own Python: the system's other programs are not the project's


def _is_own(program: Path, folders: set[Path]) -> bool:
    real = program.resolve()
    return real == Path(sys.executable).resolve() or any(
        each.is_relative_to(folder) for each in (program, real) for folder in folders
    )


def _packages(programs: Iterable[Path]) -> dict[Path, str | None]:
    """Return the package of each program, as dpkg knows it; None where none has it.

    A link belongs to the package that brought the link: `readelf` to binutils, whatever it leads to.
    """
    names = {each: [*_spellings(str(each)), *_spellings(str(each.resolve()))] for each in programs}
    command = ["dpkg-query", "-S", *{name for spelled in names.values() for name in spelled}]
    owners = {}
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        package, _, name = line.rpartition(": ")
        if not package.startswith("diversion "):
            owners[name] = package.partition(",")[0].partition(":")[0]
    return {
        each: next((owners[name] for name in spelled if name in owners), None)
        for each, spelled in names.items()
    }


def _spellings(program: str) -> list[str]:
    """Return the paths under which dpkg may know a program: /bin is a link to /usr/bin."""
    return (
        [program, program.removeprefix("/usr")]
        if program.startswith(("/usr/bin/", "/usr/sbin/"))
        else [program]
    )


def _always_installed() -> set[str]:
    """Return the packages that every Debian has, however small."""
    form = "${Package} ${Essential} ${Priority}\n"
    listed = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return {row[0] for row in rows if "yes" in row[1:] or "required" in row[1:]}
