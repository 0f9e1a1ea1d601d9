"""WWW-Authenticate headers (RFC 9110, 11.6.1), and the scopes that registries write into them."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 a grammar, no secret
_PARAMETER: Final = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.ASCII | re.DOTALL
)
_SCHEME: Final = re.compile(rf"({_TOKEN})(?:[ \t]+|[ \t]*(?=,)|[ \t]*$)", re.ASCII)
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)", re.ASCII)
_SEPARATORS: Final = re.compile(r"[ \t]*(?:,[ \t]*)*")
_MAX_HEADER: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a server wants to be authenticated to.

    Attributes:
        scheme: In lower case: "basic", "bearer".
        parameters: Names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    def get(self, name: str) -> str:
        """Return a parameter, or ""."""
        return self.parameters.get(name, "")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read the challenges from all WWW-Authenticate headers of an answer.

    What does not follow the grammar ends the reading of its header; what was read before stands.
    """
    found: list[Challenge] = []
    for header in headers:
        found.extend(_parse(header[:_MAX_HEADER]))
    return tuple(found)


def _parse(text: str) -> Iterable[Challenge]:
    at = _skip(text, 0)
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        if not _PARAMETER.match(text, at) and (opaque := _TOKEN68.match(text, at)):
            at = opaque.end()
        while parameter := _PARAMETER.match(text, at):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            parameters.setdefault(name.lower(), value)
            at = _skip(text, parameter.end())
        yield Challenge(scheme.group(1).lower(), parameters)
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    match = _SEPARATORS.match(text, at)
    return match.end() if match else at


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A permission as token servers know it: `repository:library/alpine:pull,push`.

    Attributes:
        kind: "repository".
        name: Path of the repository.
        actions: Sorted.
    """

    kind: str
    name: str
    actions: tuple[str, ...]

    @staticmethod
    def repository(path: str, *actions: str) -> Scope:
        """Return the scope for actions on a repository."""
        return Scope("repository", path, tuple(sorted(set(actions))))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read the `scope` parameter of a challenge: scopes with spaces between; what is no scope is left out."""
    found = []
    for word in text.split():
        kind, _, rest = word.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind and name and actions:
            found.append(Scope(kind, name, tuple(sorted(set(actions.split(","))))))
    return tuple(found)


def merge_scopes(*groups: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return the union: one scope per thing, with all the actions asked for it, sorted."""
    actions: dict[tuple[str, str], set[str]] = {}
    for group in groups:
        for scope in group:
            actions.setdefault((scope.kind, scope.name), set()).update(scope.actions)
    return tuple(sorted(Scope(kind, name, tuple(sorted(wanted))) for (kind, name), wanted in actions.items()))
