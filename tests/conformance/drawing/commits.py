"""Drawn ADDs of git repositories: which commit a name is, and what of it is added.

The repositories have a branch and a tag of one name, tags of tags, submodules in submodules, links and attributes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.cases import Case

_REFS: Final = (
    *("", "main", "a/branch", "v1", "v2", "v3", "both", "refs/heads/both", "refs/tags/v2", "refs/tags/both"),
    *("refs/pull/1/head", "heads/main", "tags/v1", "abcdef1", "refs/other/z", "FIRST", "SECOND", "TAG"),
)
_WRONG_REFS: Final = ("nothing", "main~1", "v2^{}", "-x", "ma in", "refs/heads/*", "FIRST"[:3], "SHORT")
_DIRECTORIES: Final = ("dir", "/dir/", "./dir", "dir/sub", "mods/sub", "mods/sub/lib", "dir/../dir/sub", "..")
_WRONG_DIRECTORIES: Final = ("a", "link", "linked", "nothing", "dir/x.txt", ".git", "*", "e%20f")


class CommitsDrawing:
    """One drawing: a Dockerfile that adds from the repositories at `GIT`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._wrong = self._random.random() < 0.25

    def case(self) -> Case:
        """Draw a case."""
        flags = "".join(f" {flag}" for flag in self._flags())
        destination = self._random.choice(("/", "/dst", "/dst/", "rel", "./", "/etc", "/new/deep/"))
        sources = [self._source() for _ in range(self._random.choice((1, 1, 1, 2)))]
        if len(sources) > 1:
            destination = destination.rstrip("/") + "/"
        workdir = self._random.choice(("", "WORKDIR /w\n"))
        text = f"FROM TINY\n{workdir}ADD{flags} {json.dumps([*sources, destination])}\n"
        for word, commit in commits().items():
            text = text.replace(word, commit)
        return Case(text)

    def _flags(self) -> list[str]:
        drawn = {
            f"--chown={self._random.choice(('1:2', '7', 'root'))}": 0.15,
            f"--chmod={self._random.choice(('700', 'u-w', 'go=', '755'))}": 0.15,
            "--link": 0.15,
            f"--exclude={self._random.choice(('a', '*.txt', 'dir', '**/y', 'mods'))}": 0.2,
            f"--checksum={self._random.choice(('FIRST', 'SECOND', 'TAG', 'SHORT'))}": 0.1,
        }
        return [flag for flag, share in drawn.items() if self._random.random() < share]

    def _source(self) -> str:
        ref = self._random.choice(_REFS + (_WRONG_REFS if self._wrong else ()))
        directory = self._random.choice(("", "", *_DIRECTORIES, *(_WRONG_DIRECTORIES if self._wrong else ())))
        query = [f"submodules={self._random.choice('01')}"] if self._random.random() < 0.2 else []
        if self._random.random() < 0.5:
            fragment = f"#{ref}:{directory}" if directory else f"#{ref}"
        else:
            query += [f"ref={ref}"] if ref else []
            query += [f"subdir={directory}"] if directory else []
            fragment = ""
        return "GIT/main.git" + (f"?{'&'.join(query)}" if query else "") + fragment


def _git(work: Path, *arguments: str, day: int = 1) -> str:
    date = f"2020-02-{day:02}T02:02:02Z"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
    }
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    words = ["git", "-C", str(work), *who, *arguments]
    return subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def _start(work: Path, submodule: str, where: str) -> None:
    """Make a work tree that has the submodule, by a path that is relative to its own URL."""
    work.mkdir()
    _git(work, "init", "-q", "-b", "main")
    (work / "a").write_text(f"{work.name}\n")
    if submodule:
        _git(work, "submodule", "--quiet", "add", str(work.parent / submodule), where)
        modules = work / ".gitmodules"
        modules.write_text(modules.read_text().replace(str(work.parent / submodule), f"../{submodule}.git"))


def _fill(work: Path) -> None:
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    for name, target in (("link", "a"), ("linked", "dir"), ("out", "/etc")):
        (work / name).symlink_to(target)
    (work / "dir/sub").mkdir(parents=True)
    (work / "dir/x.txt").write_text("x\ny\n")
    (work / "dir/sub/y").write_text("$Id$\n")
    (work / ".gitattributes").write_text("*.txt text eol=crlf\ny ident\na export-ignore\n")


def _refer(work: Path) -> None:
    """Give the two commits of a repository names."""
    for command in (
        "tag v1 HEAD~1|tag -a -m x v2|tag -a -m x v3 v2|branch both HEAD~1|tag both|branch a/branch HEAD~1",
        "branch abcdef1 HEAD~1|update-ref refs/pull/1/head HEAD~1|update-ref refs/other/z HEAD~1",
    ):
        for words in command.split("|"):
            _git(work, *words.split())


def make_repositories(root: Path) -> dict[str, str]:
    """Make the bare repositories in an empty directory; return the commits that drawings name by a word."""
    for name, submodule, where in (("leaf", "", ""), ("sub", "leaf", "lib"), ("main", "sub", "mods/sub")):
        work = root / name
        _start(work, submodule, where)
        if name == "main":
            _fill(work)
        for day, text in enumerate(("one\n", "two\n"), start=1):
            (work / f"file{day}").write_text(text)
            _git(work, "add", ".")
            _git(work, "commit", "-qm", "change", day=day)
    _refer(root / "main")
    words = {"FIRST": "HEAD~1", "SECOND": "HEAD", "TAG": "v2"}
    found = {word: _git(root / "main", "rev-parse", name) for word, name in words.items()}
    for name in ("leaf", "sub", "main"):
        _git(root, "clone", "-q", "--mirror", str(root / name), f"{name}.git")
    _git(root / "main.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    return found | {"SHORT": found["SECOND"][:7]}


@cache
def commits() -> dict[str, str]:
    """Return the commits, which are the same in all repositories that were made."""
    with TemporaryDirectory() as directory:
        return make_repositories(Path(directory))
