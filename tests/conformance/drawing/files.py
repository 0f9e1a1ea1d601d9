"""Drawn contexts and Dockerfiles of files: what COPY, ADD, WORKDIR and RUN leave in each other's way.

There are few names, so that instructions meet what others left: links in place of directories, files where
directories go, paths that climb.
"""

from __future__ import annotations

import json
import random
from typing import Final

from tests.conformance.cases import Case, Hard, Link, Tar, Text

_NAMES: Final = ("a", "b", "c", "d.txt", ".h", "e f")
_OWNERS: Final = ("0", "1000", "1:2", "0:7", "root", "root:root")
_MODES: Final = ("0", "755", "0640", "4711", "1777", "u+x", "go-rwx", "a=rX", "u=rwX,g+s")
_TARGETS: Final = ("a", "b", "../a", "/a", "/b/c", "/", "..", ".", "/nothing", "../../../a/b")


class FilesDrawing:
    """One drawing: a context, and a Dockerfile over it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._context: dict[str, object] = {}
        self._named: dict[str, object] = {}
        self._made = ["tmp"]

    def case(self) -> Case:
        """Draw a case."""
        self._context = self._files()
        self._named = self._files()
        one = ["FROM TINY AS one", *self._instructions(self._random.randint(1, 4), stage=True)]
        base = self._random.choice(("TINY", "TINY", "TINY", "one", "one"))
        two = [f"FROM {base}", *self._instructions(self._random.randint(1, 6), stage=False)]
        named = {f"lib/{path}": what for path, what in self._named.items()}
        named = {
            path: Hard(f"lib/{what.to}") if isinstance(what, Hard) else what for path, what in named.items()
        }
        files = self._context | {"lib": None} | named
        return Case("\n".join([*one, *two]) + "\n", files=files, contexts=("lib",))

    def _files(self) -> dict[str, object]:
        files: dict[str, object] = {}
        for _ in range(self._random.randint(3, 12)):
            path = self._name_path()
            if any(path == known or path.startswith(known + "/") for known in files):
                continue
            if any(known.startswith(path + "/") for known in files):
                continue
            files[path] = self._content([known for known, what in files.items() if isinstance(what, str)])
        if self._random.random() < 0.3:
            files[".dockerignore"] = (
                "\n".join(self._pattern() for _ in range(self._random.randint(1, 3))) + "\n"
            )
        return files

    def _content(self, plain: list[str]) -> object:
        match self._random.randint(0, 9):
            case 0 | 1 | 2 | 3:
                return self._random.choice(("one\n", "two\n", ""))
            case 4:
                return Text("text\n", self._random.choice((0o600, 0o755, 0o4755, 0o444)))
            case 5 | 6:
                return Link(self._random.choice(_TARGETS))
            case 7:
                return Hard(self._random.choice(plain)) if plain else "x"
            case 8:
                return None
            case _:
                return self._archive()

    def _archive(self) -> Tar:
        members: dict[str, str | Link | Hard | None] = {}
        for _ in range(self._random.randint(1, 5)):
            members[self._name_path()] = self._random.choice(
                ("in\n", None, Link(self._random.choice(_TARGETS)))
            )
        return Tar(members, self._random.choice(("", "gz", "xz", "bz2")))

    def _name_path(self) -> str:
        return "/".join(self._random.choice(_NAMES) for _ in range(self._random.choice((1, 1, 2, 2, 3))))

    def _pattern(self) -> str:
        name = self._name_path()
        return self._random.choice((name, f"**/{name}", f"!{name}", f"{name}/*", "*.txt", f"!**/{name}"))

    def _path(self) -> str:
        path = self._name_path().replace("e f", "e")
        return self._random.choice(
            (path, f"/{path}", f"./{path}", f"{path}/..", f"../{path}", f"/{path}/../a")
        )

    def _instructions(self, count: int, *, stage: bool) -> list[str]:
        lines = [self._instruction(stage=stage) for _ in range(count)]
        return [f"ONBUILD {line}" if stage and self._random.random() < 0.15 else line for line in lines]

    def _instruction(self, *, stage: bool) -> str:
        match self._random.randint(0, 11):
            case 0 | 1 | 2 | 3:
                return self._copy("COPY", stage=stage)
            case 4 | 5:
                return self._copy("ADD", stage=stage)
            case 6:
                # BuildKit's runtime makes what `/a/../b` names on its way, before it is resolved.
                path = self._name_path().replace("e f", "e")
                return f"WORKDIR {self._random.choice(('', '/', './', '../'))}{path}"
            case 7:
                return f"USER {self._random.choice(('0', '1000', '1000:2000', 'root'))}"
            case 8:
                return self._heredoc()
            case 9:
                return self._mount(stage=stage)
            case _:
                return "RUN " + "; ".join(
                    [*(self._command() for _ in range(self._random.randint(1, 4))), "true"]
                )

    def _mount(self, *, stage: bool) -> str:
        """Return a RUN that copies from a mount."""
        origin = self._origin(stage=stage)
        known = self._known(origin)
        source = "/".join(self._random.choice(known).split("/")[: self._random.randint(1, 3)])
        options = [f"source={self._random.choice((source, '/' + source, '.'))}", "target=/mounted"]
        options += [f"from={origin}"] if origin else []
        quoted = ",".join(f'"{option}"' if " " in option else option for option in options)
        return f"RUN --mount=type=bind,{quoted} cp -a /mounted {self._random.choice(('/out', '/a', '/b/'))} 2>/dev/null; true"

    def _heredoc(self) -> str:
        return f"COPY{self._flags()} <<a <<b {self._destination()}\nhere\na\nthere\nb"

    def _flags(self) -> str:
        flags = []
        if self._random.random() < 0.25:
            flags.append(f"--chown={self._random.choice(_OWNERS)}")
        if self._random.random() < 0.25:
            flags.append(f"--chmod={self._random.choice(_MODES)}")
        if self._random.random() < 0.15:
            flags.append("--link")
        return "".join(" " + flag for flag in flags)

    def _copy(self, word: str, *, stage: bool) -> str:
        flags, origin = self._flags(), ""
        if word == "COPY":
            origin = self._origin(stage=stage)
            flags += f" --from={origin}" if origin else ""
            if self._random.random() < 0.15:
                flags += " --parents"
        elif self._random.random() < 0.3:
            flags += f" --unpack={self._random.choice(('true', 'false'))}"
        if self._random.random() < 0.15:
            flags += f" --exclude={self._random.choice(('a', '*.txt', '**/b', 'a/*', '!b'))}"
        sources = [self._source(origin) for _ in range(self._random.choice((1, 1, 1, 2)))]
        return f"{word}{flags} {json.dumps([*sources, self._destination()])}"

    def _origin(self, *, stage: bool) -> str:
        """Draw what files come from: a stage or a named context; empty is the context."""
        return self._random.choice(("", "", "", "lib") if stage else ("", "", "", "one", "one", "lib"))

    def _known(self, origin: str) -> list[str]:
        return {"": list(self._context), "lib": list(self._named), "one": self._made}[origin]

    def _source(self, origin: str) -> str:
        path = self._random.choice(self._known(origin))
        path = "/".join(path.split("/")[: self._random.randint(1, 3)])
        directory, _, name = path.rpartition("/")
        return self._random.choice(
            (
                path,
                path,
                f"/{path}",
                f"{path}/",
                ".",
                "*",
                f"{path[0]}*",
                "*/*",
                f"{path}/.",
                "[ab]*",
                f"../{path}",
                f"{directory}/*",
                f"*/{name}",
                # `/./` means something with --parents alone
                f"{directory or '.'}/./{name}",
                f"{path[0]}*/./{name}",
                f"[abc]/./**/{name[0]}*",
            )
        )

    def _destination(self) -> str:
        return self._random.choice(
            ("/", ".", "./", self._path(), self._path(), self._path() + "/", self._path() + "/")
        )

    def _command(self) -> str:
        paths = [self._name_path() for _ in range(2)]
        self._made += paths
        one, other = (f"'{self._random.choice(('', '/'))}{path}'" for path in paths)
        return (
            self._random.choice(
                (
                    f"mkdir -p {one}",
                    f"mkdir -p {one}",
                    f"echo run > {one}",
                    f"mkdir -p {one} && echo in > {one}/a",
                    f"rm -rf {one}",
                    f"rm -rf {one} && mkdir -p {one}",
                    f"ln -s {self._random.choice(_TARGETS)} {one}",
                    f"ln -s {self._random.choice(_TARGETS)} {one}",
                    f"ln {one} {other}",
                    f"mv {one} {other}",
                    f"cp -a {one} {other}",
                    f"chmod {self._random.choice(('700', '1755', '0', '2775'))} {one}",
                    f"chown {self._random.choice(('7', '8:9', ':7'))} {one}",
                    f"chown -h 5 {one}",
                )
            )
            + " 2>/dev/null"
        )
