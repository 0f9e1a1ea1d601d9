"""Drawn Dockerfiles of what images are configured with: variables, labels, commands, users, triggers, stages."""

from __future__ import annotations

import json
import random
from typing import Final

from tests.conformance.cases import Case

_NAMES: Final = ("A", "B", "C", "PATH", "TARGETARCH", "HTTP_PROXY", "a_1")
_TEXTS: Final = (
    "x",
    "1",
    "",
    "a b",
    "é",
    "a=b",
    "$",
    "'",
    '"',
    "\\",
    "#",
    "x/y.z/y",
    "http://h:80/p?q",
    "  ",
    "\\n",
    "*",
)
_OPERATORS: Final = (":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", "/", "//")
_PATTERNS: Final = ("*", "x*", "*/", "?", "y", "/*", "[x]", "a", "\\*", ".")
_COMMANDS: Final = (
    "true",
    "echo $A",
    "echo '${B}' \"$C\"",
    "env | grep -v -e OTEL -e TRACEPARENT | sort > /env",
    "id > /id; pwd >> /id",
    "echo $0 > /shell",
)


_HEALTH: Final = (
    "", "--interval=5s ", "--timeout=1m30s --retries=3 ", "--retries=0 ", "--start-period=0 ", "--start-interval=1ms ",
    "--interval=1d ", "--retries=-1 ", "--interval=500us ", "--interval=1.5h --start-period=1h ",
)  # fmt: skip
_SIMPLE: Final = {
    "EXPOSE": (
        "80",
        "80/tcp",
        "80/UDP",
        "90-92",
        "$A",
        "80-$A",
        "80 90/sctp",
        "127.0.0.1:80:81",
        "0",
        "65536",
        "9-8",
    ),
    "VOLUME": ("/v", "/v $A", '["/v", "/w x"]', "[]", "/v/ /v", "${A:-/d}", "v"),
    "STOPSIGNAL": ("9", "SIGTERM", "TERM", "$A", "RTMIN+3", "SIGRTMAX-1", "15 9", "-1", "sigterm", "65"),
    "SHELL": ('["/bin/sh", "-c"]', '["/bin/sh", "-ec"]', '["/bin/busybox", "sh", "-c"]', "[]", "sh -c"),
    "USER": ("1", "root", "1:2", "root:root", "$A", "7:$A", "${A:-5}", ":3", "0x1", "1 2"),
    "WORKDIR": ("/w", "w", "../w", "$A", "/w/${A}", '"/w x"', "/w x", ".", "/", "~", "${A:-/d}"),
    "HEALTHCHECK": ("NONE", "none", "CMD"),
}


class SettingsDrawing:
    """One drawing: a Dockerfile without files, and build arguments."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._stages = 0

    def case(self) -> Case:
        """Draw a case."""
        chance = self._random.random
        lines = ["# escape=`"] if chance() < 0.1 else []
        lines += [self._argument() for _ in range(self._random.choice((0, 0, 1, 2)))]
        for _ in range(self._random.choice((1, 2, 2, 3))):
            lines.append(self._from())
            self._stages += 1
            lines += [self._instruction() for _ in range(self._random.randint(1, 6))]
        arguments = tuple(
            f"{self._name()}={self._random.choice(_TEXTS)}" for _ in range(self._random.choice((0, 0, 1, 2)))
        )
        target = self._random.choice(("", "", "", f"s{self._random.randrange(self._stages)}", "S0", "0"))
        return Case("\n".join(lines) + "\n", args=arguments, target=target)

    def _from(self) -> str:
        bases = ["TINY", "TINY", "scratch"] + [f"s{number}" for number in range(self._stages)] * 2
        platform = self._random.choice(("",) * 8 + ("--platform=$BUILDPLATFORM ", "--platform=linux/amd64 "))
        return f"FROM {platform}{self._random.choice(bases)} AS s{self._stages}"

    def _name(self) -> str:
        return self._random.choice(_NAMES)

    def _value(self, depth: int = 0) -> str:
        """Draw the text of a word: with quotes, escapes and substitutions."""
        parts = []
        for _ in range(self._random.choice((1, 1, 2, 3))):
            match self._random.randint(0, 9):
                case 0 | 1:
                    parts.append(self._random.choice(_TEXTS).replace(" ", "_"))
                case 2:
                    parts.append(f'"{self._random.choice(_TEXTS)}${{{self._name()}}}"')
                case 3:
                    parts.append(f"'{self._random.choice(_TEXTS)}$A'")
                case 4:
                    parts.append(f"${self._name()}")
                case 5 | 6 if depth < 2:
                    parts.append(self._substitution(depth))
                case 7:
                    parts.append(self._random.choice(("\\$A", "\\ ", "\\\\", "`$A", '\\"')))
                case _:
                    parts.append(self._random.choice(("v", "7", "k.v", "-")))
        return "".join(parts)

    def _substitution(self, depth: int) -> str:
        operator = self._random.choice(_OPERATORS)
        word = self._random.choice(_PATTERNS) if operator[0] in "#%/" else self._value(depth + 1)
        if operator[0] == "/":
            word += "/" + self._random.choice(("", "r", "x/y", '"q r"', "\\\\"))
        return f"${{{self._name()}{operator}{word}}}"

    def _argument(self) -> str:
        return "ARG " + " ".join(
            self._name() + self._random.choice(("", f"={self._value()}"))
            for _ in range(self._random.choice((1, 1, 2)))
        )

    def _command(self) -> str:
        match self._random.randint(0, 4):
            case 0:
                return json.dumps(["sh", "-c", self._random.choice(_COMMANDS)])
            case 1:
                return json.dumps([self._random.choice(_TEXTS), "$A", "é"], ensure_ascii=False)
            case 2:
                return self._random.choice(
                    ('["a", b]', "[]", "['a']", '["a"', "a  b   c", "echo a && \\\n  # no\n  echo b")
                )
            case _:
                return self._random.choice(_COMMANDS)

    def _instruction(self) -> str:
        line = self._plain()
        chance = self._random.random()
        if chance < 0.1 and line.startswith(("ENV", "ARG", "LABEL", "CMD", "ENTRYPOINT", "RUN", "WORKDIR")):
            return f"ONBUILD {line}"  # others may be broken: those are refused where they are written
        if chance < 0.14:
            word, _, rest = line.partition(" ")
            return f"{word.lower()} {rest}"
        if chance < 0.18:
            word, _, rest = line.partition(" ")
            return f"{word} \\\n\n# between\n  {rest}"
        return line

    def _plain(self) -> str:
        choice = self._random.choice
        match self._random.randint(0, 13):
            case 0 | 1 | 2:
                return "ENV " + " ".join(f"{self._name()}={self._value()}" for _ in range(choice((1, 1, 2))))
            case 3:
                return f"ENV {self._name()} {self._value()} {self._value()}"
            case 4 | 5:
                return self._argument()
            case 6:
                return "LABEL " + " ".join(f"{self._value()}={self._value()}" for _ in range(choice((1, 2))))
            case 7:
                return f"HEALTHCHECK {choice(_HEALTH)}CMD {self._command()}"
            case 8 | 9:
                return f"{choice(('CMD', 'ENTRYPOINT'))} {self._command()}"
            case 10:
                return f"{choice(('WORKDIR', 'MAINTAINER'))} {self._value()}"
            case 11:
                return f"RUN {self._command()}"
            case _:
                word = choice(list(_SIMPLE))
                return f"{word} {choice(_SIMPLE[word])}"
