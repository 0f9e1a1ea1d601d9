"""`# check=skip=…;experimental=…;error=true`: which lint rules a file wants, and whether they fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.reading.directives import parse_directive
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_ALL = "all"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Options of the check directive.

    Attributes:
        skip: Rules switched off; "all" for every one that is not experimental.
        experimental: Experimental rules switched on; "all" for every one.
        error: A warning fails the build.
    """

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def allows(self, rule: str, *, experimental: bool) -> bool:
        """Tell whether a rule is on."""
        if experimental:
            return rule in self.experimental or _ALL in self.experimental
        return rule not in self.skip and _ALL not in self.skip

    def and_comments(self, comments: Iterable[str]) -> CheckOptions:
        """Add what `# check=…` right above an instruction says; malformed ones do not count."""
        for comment in comments:
            directive = parse_directive(comment, 0)
            if directive is not None and directive.name == "check":
                try:
                    more = parse_check_options(directive.value)
                except FaultError:
                    return self
                return CheckOptions(self.skip | more.skip, self.experimental | more.experimental, self.error)
        return self


def parse_check_options(text: str) -> CheckOptions:
    """Read the value of a check directive, up to the first space, as BuildKit does.

    Raises:
        FaultError: An option is not known or has a value that it cannot have.
    """
    text = text.partition(" ")[0]
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error = False
    for part in text.split(";", 2) if text else ():
        name, equals, value = part.partition("=")
        match name.strip() if equals else None:
            case "skip":
                skip = _names(value)
            case "experimental":
                experimental = _names(value)
            case "error" if value.strip() in _TRUE | _FALSE:
                error = value.strip() in _TRUE
            case _:
                raise FaultError(
                    Code.INVALID_CHECK_OPTION,
                    f"invalid check option {part[:60]!r}",
                    hint="write # check=skip=Rule,Rule;error=true, without spaces",
                    needle=part,
                )
    return CheckOptions(skip, experimental, error)


def _names(value: str) -> frozenset[str]:
    return frozenset(name.strip() for name in value.split(","))
