"""Logical lines to keyword and arguments, by dockerfile-parse.

This is all that is left for that library to do, and the only module that knows it. Its own joining of
lines reads heredoc bodies as instructions and ends an instruction at an empty line inside it, so lines
are joined before it sees them (`logical_lines`). What remains is the split of one finished line, which it
does well for plain ones: printable ASCII, arguments behind the keyword, no backslash at the end. The
others are split by the rule in `arguments.split_keyword`; both give the same answer wherever both apply,
and a property test holds them to that.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

from dockerfile_parse import DockerfileParser

from strake_builder.frontend.reading.arguments import split_keyword

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN: Final = re.compile(r"[!-\"$-~][!-~]*[ \t]+[ -~\t]*?[!-\[\]-~][ \t]*\Z")


def split_keywords(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Split logical lines into keyword, as written, and the rest."""
    plain = [_PLAIN.match(line) is not None for line in lines]
    text = "\n".join(line for line, is_plain in zip(lines, plain, strict=True) if is_plain)
    structure = DockerfileParser(fileobj=io.BytesIO(text.encode("ascii"))).structure
    if len(structure) != sum(plain):
        return [split_keyword(line) for line in lines]
    found = iter(structure)
    return [
        _as_written(line, next(found)) if p else split_keyword(line)
        for line, p in zip(lines, plain, strict=True)
    ]


def _as_written(line: str, entry: dict[str, str]) -> tuple[str, str]:
    """The library gives keywords in upper case."""
    return line.lstrip()[: len(entry["instruction"])], entry["value"]
