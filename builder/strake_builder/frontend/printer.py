"""A syntax tree back to text, one line an instruction: for people who compare files, and for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_builder.frontend.syntax import Dockerfile, Place


def to_text(dockerfile: Dockerfile) -> str:
    """Return a Dockerfile that parses to the same tree, places aside.

    Continuations are joined, comments inside instructions and empty lines are gone.
    """
    lines = [f"# {directive.name}={directive.value}\n" for directive in dockerfile.directives]
    # An empty line ends the directives: no comment may be taken for one.
    lines.append("\n")
    for place in _places(dockerfile):
        lines += _instruction(place, dockerfile.escape)
    return "".join(lines)


def _places(dockerfile: Dockerfile) -> Iterator[Place]:
    yield from (arg.place for arg in dockerfile.global_args)
    for stage in dockerfile.stages:
        yield stage.from_.place
        yield from (instruction.place for instruction in stage.instructions)


def _instruction(place: Place, escape: str) -> Iterator[str]:
    # Without one, comments above the last instruction would run into this one's.
    yield "#\n"
    yield from (f"# {comment}\n" for comment in place.comments)
    if place.text.endswith(escape) and not place.text.endswith(escape * 2):
        # Only the last instruction can end so; a line of its own would continue.
        yield f"{place.text} {escape}"
        return
    yield place.text + "\n"
    for doc in place.heredocs:
        yield f"{doc.body}{doc.name}\n"
