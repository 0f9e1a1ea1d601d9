"""Commands of Strake's in the documentation are commands that it has, with flags that it has."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterator

import pytest

from strake_builder.cli import main as strake
from strake_kubectl import main as kubectl
from tests.pages.blocks import blocks

_WORDS = re.compile(r"^(?:sudo )?(?P<program>strake ib|strake|kubectl strake|kubectl-strake) (?P<rest>.*)$")
_ENDS = {"&&", "|", ">", ">>", "<", ";", "||", "&", "2>"}


def commands() -> Iterator[tuple[str, str]]:
    """Yield each page's name and the commands of Strake's on it, without those that leave something open."""
    for page, text in blocks("sh"):
        for line in text.replace("\\\n", " ").split("\n"):
            if "…" not in line and _WORDS.match(line.strip()):
                yield page, line.strip()


COMMANDS = sorted(set(commands()))


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[command for _, command in COMMANDS])
def test_the_program_takes_it(page, command, capsys):
    found = _WORDS.match(command)
    assert found is not None
    words = _until_the_shell(found["rest"])
    parse = _kubectl if found["program"] != "strake" else _strake
    assert _status(parse, words) == 0, f"{page}: {command}: {capsys.readouterr().err}"


def test_there_are_many():
    assert len(COMMANDS) > 40
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/start/developer.md", "docs/from-buildkit.md"}


def _status(parse: Callable[[list[str]], object], words: list[str]) -> object:
    try:
        parse(words)
    except SystemExit as ended:
        return ended.code or 0
    return 0


def _until_the_shell(rest: str) -> list[str]:
    lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _ENDS:
            break
        words.append(word)
    return words


def _strake(words: list[str]) -> argparse.Namespace:
    return strake._parser([words[0]]).parse_args(words)


def _kubectl(words: list[str]) -> argparse.Namespace:
    return kubectl._parser("kubectl strake", words).parse_args(words)
