"""A syntax tree back to text, one line an instruction: for people who compare files, and for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_builder.frontend.model.syntax import OnBuild
from strake_builder.frontend.text.whitespace import SPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_builder.frontend.model.syntax import Dockerfile, From, Instruction


def to_text(dockerfile: Dockerfile) -> str:
    """Return a Dockerfile that parses to the same tree, positions aside.

    Continuations are joined, comments inside instructions and empty lines are gone.
    """
    lines = [f"# {directive.name}={directive.value}\n" for directive in dockerfile.directives]
    # An empty line ends the directives: no comment may be taken for one.
    lines.append("\n")
    for arg in dockerfile.global_args:
        lines += _instruction(arg, dockerfile.escape)
    for stage in dockerfile.stages:
        for instruction in (stage.from_, *stage.instructions):
            lines += _instruction(instruction, dockerfile.escape)
    return "".join(lines)


def _instruction(instruction: From | Instruction, escape: str) -> Iterator[str]:
    position = instruction.position
    # Without one, comments above the last instruction would run into this one's.
    yield "#\n"
    yield from (f"# {comment}\n" for comment in position.comments)
    line = position.text + _blanks_behind(instruction)
    if _continues(line, escape):
        if isinstance(instruction, OnBuild):
            # Only the end of the file can have cut such a line off; so it is cut off again.
            yield line + escape
            return
        line = f"{position.text}\f"  # white space, but none that may stand between an escape and the end
    yield line + "\n"
    for doc in position.heredocs:
        yield f"{doc.body}{doc.name}\n"


def _continues(line: str, escape: str) -> bool:
    cut = line.rstrip(" \t")
    return cut.endswith(escape) and not cut.endswith(escape * 2)


def _blanks_behind(instruction: From | Instruction) -> str:
    """White space behind an instruction means something in one case: a trigger takes it into the image."""
    if not isinstance(instruction, OnBuild):
        return ""
    first = instruction.trigger.partition("\n")[0]
    return first[len(first.rstrip(SPACE)) :]
