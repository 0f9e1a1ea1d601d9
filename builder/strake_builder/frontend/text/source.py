"""The text of a Dockerfile and positions in it.

Every message of this package can say where: so a position is a type, and the text keeps its lines.
"""

from __future__ import annotations

from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Lines of a file, both ends included, counted from 1."""

    first: int
    last: int

    def __str__(self) -> str:
        """Return "3" or "3-5"."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's name and its physical lines, line endings kept."""

    filename: str
    lines: tuple[str, ...]

    def line(self, number: int) -> str:
        """Return a line by number (from 1) without its line ending, "" outside the file."""
        return self.lines[number - 1].rstrip("\r\n") if 0 < number <= len(self.lines) else ""

    def locate(self, span: Span, needle: str) -> tuple[int, int]:
        """Find `needle` in a span: its line and column, from 1.

        Falls back to the first character of the span that is not white space.
        """
        if needle:
            for number in range(span.first, span.last + 1):
                column = self.line(number).find(needle)
                if column >= 0:
                    return number, column + 1
        first = self.line(span.first)
        return span.first, len(first) - len(first.lstrip()) + 1


def split_lines(text: str) -> list[str]:
    """Split at line feeds only, keeping them: what BuildKit counts as a line."""
    lines = text.split("\n")
    last = lines.pop()
    kept = [line + "\n" for line in lines]
    if last:
        kept.append(last)
    return kept
