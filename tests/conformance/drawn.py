"""Builds Dockerfiles that nobody wrote, here and with a real BuildKit, and tells where the images differ.

    python -m tests.conformance.drawn BUILDKITD BUILDCTL SEED COUNT

The cases of `cases.py` are what somebody thought of. What is drawn here has few names, so that instructions meet
what others left: links in place of directories, files where directories go, paths that climb. A difference is
printed with its Dockerfile and is worth a case, or a line in docs/dockerfile.md. Needs what `reference` needs.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from strake_oci.spec.reference import Reference
from tests.conformance import reference
from tests.conformance.cases import Case, Hard, Link, Tar, Text
from tests.conformance.contexts import write_context
from tests.conformance.flatten import flatten
from tests.conformance.test_images import Bases, build
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

_NAMES: Final = ("a", "b", "c", "d.txt", ".h", "e f")
_OWNERS: Final = ("0", "1000", "1:2", "0:7", "root", "root:root")
_MODES: Final = ("0", "755", "0640", "4711", "1777", "u+x", "go-rwx", "a=rX", "u=rwX,g+s")
_TARGETS: Final = ("a", "b", "../a", "/a", "/b/c", "/", "..", ".", "/nothing", "../../../a/b")


class Drawn:
    """One drawing: a context, and a Dockerfile over it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._context: dict[str, object] = {}
        self._made = ["tmp"]

    def case(self) -> Case:
        """Draw a case."""
        self._context = self._files()
        one = ["FROM TINY AS one", *self._instructions(self._random.randint(1, 4), stage=True)]
        base = self._random.choice(("TINY", "TINY", "TINY", "one", "one"))
        two = [f"FROM {base}", *self._instructions(self._random.randint(1, 6), stage=False)]
        return Case("\n".join([*one, *two]) + "\n", files=self._context)

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
        return [self._instruction(stage=stage) for _ in range(count)]

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
        is_context = stage or self._random.random() < 0.6
        known = list(self._context) if is_context else self._made
        source = "/".join(self._random.choice(known).split("/")[: self._random.randint(1, 3)])
        options = [f"source={self._random.choice((source, '/' + source, '.'))}", "target=/mounted"]
        options += [] if is_context else ["from=one"]
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
        flags, is_context = self._flags(), True
        if word == "COPY":
            if not stage and self._random.random() < 0.4:
                flags, is_context = f"{flags} --from=one", False
            if self._random.random() < 0.15:
                flags += " --parents"
        elif self._random.random() < 0.3:
            flags += f" --unpack={self._random.choice(('true', 'false'))}"
        if self._random.random() < 0.15:
            flags += f" --exclude={self._random.choice(('a', '*.txt', '**/b', 'a/*', '!b'))}"
        sources = [self._source(context=is_context) for _ in range(self._random.choice((1, 1, 1, 2)))]
        return f"{word}{flags} {json.dumps([*sources, self._destination()])}"

    def _source(self, *, context: bool) -> str:
        path = self._random.choice(list(self._context) if context else self._made)
        path = "/".join(path.split("/")[: self._random.randint(1, 3)])
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


def _outcome(refusal: str, destination: str, scope: Bases) -> dict[str, Any]:
    """Return what came of a build, in the fields of README.md."""
    if refusal:
        return {"outcome": "failure", "message": refusal}
    with scope.registry.client() as client:
        parsed = Reference.parse(destination)
        result = reference.result(flatten(client, parsed.repository, parsed.tag), scope.flat)
    return result | {"hard_links": [group for group in result["hard_links"] if _are_files(result, group)]}


def _are_files(result: dict[str, Any], group: list[str]) -> bool:
    """Say whether a group of names is of a file: BuildKit writes other names of a link as links of their own."""
    return all(result["changed"].get(path, {}).get("type") == "file" for path in group)


def _differences(theirs: dict[str, object], ours: dict[str, object]) -> Iterator[str]:
    """Yield what differs between two outcomes, a line each."""
    if theirs["outcome"] != ours["outcome"]:
        yield f"BuildKit: {theirs['outcome']} {theirs.get('message', '')}"
        yield f"Strake:   {ours['outcome']} {ours.get('message', '')}"
        return
    for key in sorted(theirs.keys() - {"outcome", "message", "layers_on_base"}):
        one, other = theirs[key], ours[key]
        if one == other:
            continue
        if not (isinstance(one, dict) and isinstance(other, dict)):
            yield f"{key}: BuildKit {one}, Strake {other}"
            continue
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                yield f"{key} {name}: BuildKit {one.get(name)}, Strake {other.get(name)}"


class Comparison:
    """Builds drawings in both ways.

    Args:
        scope: the registry and the base images.
        buildctl: BuildKit's client.
        address: of its daemon.
        cache: a cache directory that all builds of one way share, so that a cache key that is too short shows.

    Attributes:
        images: drawings that BuildKit made an image of.
    """

    def __init__(self, scope: Bases, buildctl: str, address: str, cache: Path) -> None:
        self._scope = scope
        self._buildctl = buildctl
        self._address = address
        self._ways = {"read": (), "cached": ("--cache-dir", cache), "scan": ("--rootfs", "scan")}
        self.images = 0

    def differences(self, seed: int) -> list[str]:
        """Return what differs between the images of one drawing."""
        case, host = Drawn(seed).case(), self._scope.registry.host
        with tempfile.TemporaryDirectory() as directory:
            context = Path(directory, "context")
            context.mkdir()
            write_context(case, context, self._scope.names)
            theirs = f"{host}/drawn/buildkit:{seed}"
            refusal = reference.build_in(context, case, self._buildctl, self._address, theirs)
            expected = _outcome(refusal, theirs, self._scope)
            self.images += not refusal
            found = []
            for way, flags in self._ways.items():
                ours = f"{host}/drawn/strake:{seed}-{way}"
                done = build(case, self._scope, context, ours, "--work-dir", f"{directory}/work", *flags)
                outcome = _outcome(_refusal(done) if done.returncode else "", ours, self._scope)
                if way == "scan":  # a file of several names stays one there: `OTHERWISE` of test_images.py
                    outcome |= {"hard_links": expected.get("hard_links", [])}
                found += [f"{way}: {line}" for line in _differences(expected, outcome)]
        return found


def _refusal(done: subprocess.CompletedProcess[str]) -> str:
    return next((line for line in done.stderr.splitlines() if "error: " in line), done.stderr[-300:])


def main(buildkitd: str, buildctl: str, seed: str, count: str) -> None:
    """Compare drawings from a seed on; exit with their number where images differ."""
    with contextlib.ExitStack() as scope:
        state = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        registry = scope.enter_context(running_registry())
        client = scope.enter_context(registry.client())
        names = {"TINY": f"{registry.host}/library/busybox:1"}
        push_image("tiny", names["TINY"])
        parsed = Reference.parse(names["TINY"])
        bases = Bases(registry, names, {"TINY": flatten(client, parsed.repository, parsed.tag)})
        address = scope.enter_context(reference.daemon(buildkitd, buildctl, state, registry.host))
        comparison = Comparison(bases, buildctl, address, state / "cache")
        differing = 0
        for number in range(int(seed), int(seed) + int(count)):
            differences = comparison.differences(number)
            if differences:
                differing += 1
                case = Drawn(number).case()
                print(f"--- {number}\n{case.dockerfile}{case.files}", *differences, sep="\n", flush=True)
    print(f"{count} drawings, {comparison.images} images of BuildKit's, {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
