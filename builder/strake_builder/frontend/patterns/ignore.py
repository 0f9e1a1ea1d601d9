"""`IgnoreMatcher`: which files .dockerignore and `--exclude` leave out.

Patterns are tried in order and the last that matches decides; "!" lets files in again. A pattern that
matches a directory holds for all that is below. The order of evaluation is that of BuildKit's walk
(moby/patternmatcher, MatchesUsingParentResults), down to its detail that a pattern which was not
evaluated for a directory, because it could not have changed the outcome there, does not count as
matching for what is below.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.patterns import path_pattern
from strake_builder.frontend.patterns.glob import check_pattern, element_matches
from strake_builder.frontend.text.whitespace import SPACE
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPECIAL: Final = re.compile(r"[*?\[\]\\]")
_MAX_CACHED: Final = 4096
_MAX_PATTERN: Final = 4096


def read_patterns(text: str) -> list[str]:
    """Read the patterns of an ignore file (moby/patternmatcher, ignorefile.ReadAll).

    A line that starts with "#" is a comment; white space around a pattern and slashes at its ends do
    not count.
    """
    patterns = []
    for number, line in enumerate(text.split("\n")):
        pattern = line.removeprefix("\ufeff") if number == 0 else line
        if pattern.startswith("#"):
            continue
        pattern = pattern.strip(SPACE)
        if not pattern:
            continue
        mark = "!" if pattern.startswith("!") else ""
        pattern = pattern.removeprefix("!").strip(SPACE) if mark else pattern
        if pattern:
            pattern = _clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        patterns.append(mark + pattern)
    return patterns


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring patterns of one kind: for the outcome it only matters whether any of them matches."""

    exception: bool
    exact: frozenset[str]
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]
    regex: re.Pattern[str] | None
    automata: tuple[path_pattern.Automaton, ...]
    patterns: tuple[str, ...]

    def matches(self, path: str) -> bool:
        return (
            path in self.exact
            or path.startswith(self.prefixes)
            or path.endswith(self.suffixes)
            or (self.regex is not None and self.regex.fullmatch(path) is not None)
            or any(automaton.matches(path) for automaton in self.automata)
        )

    def may_match_below(self, directory: str) -> bool:
        """Tell whether a path below a directory could match; True when that is hard to say."""
        elements = directory.split("/")
        return any(_may_match_below(pattern, elements) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is known of a path: whether it is ignored, and which runs match it."""

    ignored: bool
    matched: tuple[bool, ...]
    decisive: int


class IgnoreMatcher:
    """Tells what to leave out of a tree.

    Paths are relative to the tree's root, with slashes between elements and none at the ends. Not safe
    for use from several threads at once.

    Args:
        patterns: In order; "!" in front of one makes it an exception.

    Raises:
        FaultError: A pattern is malformed.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._runs: Final = _runs(patterns)
        self._verdicts: Final[dict[str, _Verdict]] = {}

    @classmethod
    def parse(cls, text: str) -> IgnoreMatcher:
        """Make the matcher of an ignore file.

        Raises:
            FaultError: A pattern is malformed; the message names it.
        """
        return cls(read_patterns(text))

    @property
    def has_exceptions(self) -> bool:
        """True when a pattern begins with "!"."""
        return any(run.exception for run in self._runs)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that leave something out, without exceptions."""
        return tuple(pattern for run in self._runs if not run.exception for pattern in run.patterns)

    def ignores(self, path: str) -> bool:
        """Tell whether a path is left out.

        The root itself ("" or ".") never is.
        """
        if path in ("", "."):
            return False
        return self._verdict(path).ignored

    def may_enter(self, directory: str) -> bool:
        """Tell whether anything below a directory may be kept; if not, it need not be read."""
        if directory in ("", "."):
            return True
        verdict = self._verdict(directory)
        return not verdict.ignored or any(
            run.exception and run.may_match_below(directory) for run in self._runs[verdict.decisive + 1 :]
        )

    def _verdict(self, path: str) -> _Verdict:
        parent = path.rpartition("/")[0]
        above = self._directory(parent) if parent else None
        return self._judge(path, above)

    def _directory(self, path: str) -> _Verdict:
        """Return the verdict on a directory, from the top down, remembering it."""
        todo = []
        above: _Verdict | None = None
        while path:
            above = self._verdicts.get(path)
            if above is not None:
                break
            todo.append(path)
            path = path.rpartition("/")[0]
        for directory in reversed(todo):
            above = self._judge(directory, above)
            if len(self._verdicts) >= _MAX_CACHED:
                self._verdicts.clear()
            self._verdicts[directory] = above
        if above is None:
            raise AssertionError("a path without elements has no directory")
        return above

    def _judge(self, path: str, above: _Verdict | None) -> _Verdict:
        ignored = False
        matched = []
        decisive = -1
        for number, run in enumerate(self._runs):
            hit = (above is not None and above.matched[number]) or (
                run.exception == ignored and run.matches(path)
            )
            matched.append(hit)
            if hit:
                ignored, decisive = not run.exception, number
        return _Verdict(ignored, tuple(matched), decisive)


def _runs(patterns: Iterable[str]) -> tuple[_Run, ...]:
    groups: list[tuple[bool, list[str]]] = []
    for text in patterns:
        pattern = text.strip(SPACE)
        if not pattern:
            continue
        pattern = _clean(pattern)
        exception = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        if not pattern:
            raise FaultError(Code.INVALID_PATTERN, 'illegal exclusion pattern: "!"', needle="!")
        if len(pattern) > _MAX_PATTERN:
            raise FaultError(Code.TOO_LARGE, f"an ignore pattern is longer than {_MAX_PATTERN} characters")
        check_pattern(pattern)
        if not groups or groups[-1][0] != exception:
            groups.append((exception, []))
        groups[-1][1].append(pattern)
    return tuple(_run(exception, tuple(dict.fromkeys(group))) for exception, group in groups)


def _run(exception: bool, patterns: tuple[str, ...]) -> _Run:
    exact: set[str] = set()
    prefixes: list[str] = []
    suffixes: list[str] = []
    regexes: list[str] = []
    automata: list[path_pattern.Automaton] = []
    for pattern in patterns:
        if not _SPECIAL.search(pattern):
            exact.add(pattern)
        elif pattern.startswith("**") and not _SPECIAL.search(suffix := pattern[2:]):
            suffixes.append(suffix)
            if suffix.startswith("/"):
                exact.add(suffix[1:])
        elif pattern.endswith("**") and not _SPECIAL.search(pattern[:-2]):
            prefixes.append(pattern[:-2])
        else:
            parts = path_pattern.tokens(pattern)
            if path_pattern.needs_automaton(parts):
                automata.append(path_pattern.Automaton.of(parts))
            else:
                regexes.append(path_pattern.regex_of(parts))
    regex = re.compile("|".join(regexes)) if regexes else None
    return _Run(
        exception, frozenset(exact), tuple(prefixes), tuple(suffixes), regex, tuple(automata), patterns
    )


def _may_match_below(pattern: str, directory: list[str]) -> bool:
    if "[" in pattern or "\\" in pattern:
        return True
    elements = pattern.split("/")
    for element, name in zip(elements, directory, strict=False):
        if "**" in element:
            return True
        if not element_matches(element, name):
            return False
    return len(elements) > len(directory)


def _clean(path: str) -> str:
    """Return Go's filepath.Clean of a path that is not empty."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("/") else cleaned
