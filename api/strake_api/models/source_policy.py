"""A source policy in BuildKit's JSON: what may be built from, and what stands for it.

Source: BuildKit v0.34, sourcepolicy/pb/policy.proto, as `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY` and
`buildctl build --source-policy-file` read it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying

MOST_RULES = 4096
_Text = Annotated[str, Field(max_length=4096)]


class AttributeConstraint(Document):
    """What an attribute of a source must be for a rule to hold."""

    key: _Text
    """`http.checksum`, `git.checksum` or `git.fullurl`."""
    value: _Text = ""
    condition: Literal["EQUAL", "NOTEQUAL", "MATCHES"] = "EQUAL"
    """MATCHES reads the value as a regular expression."""


class SourceSelector(Document):
    """Which sources a rule is about."""

    identifier: Annotated[_Text, Field(min_length=1)]
    """`docker-image://docker.io/library/alpine:3`, `https://…`, `git://host/path#ref`."""
    match_type: Literal["WILDCARD", "EXACT", "REGEX"] = "WILDCARD"
    """How the identifier is read: `*` stands for anything, for itself, or it is a regular expression."""
    constraints: tuple[AttributeConstraint, ...] = ()
    """All must hold."""


class SourceUpdate(Document):
    """What stands for a source."""

    identifier: _Text = ""
    """`${1}` and so on stand for what a `*` or a group matched. Empty: the selector's."""
    attrs: dict[str, str] = Field(default_factory=dict)
    """`http.checksum`: sha256:… that the content must have; `git.checksum`: the commit."""


UPDATES: Rule[SourceRule] = Rule(
    "(self.action == 'CONVERT') == has(self.updates)",
    "a rule converts to its updates: the action CONVERT needs them, and no other has any",
    lambda rule: (rule.action == "CONVERT") == (rule.updates is not None),
)


class SourceRule(Document):
    """One rule."""

    model_config = ConfigDict(json_schema_extra=cel_rules(UPDATES))

    action: Literal["ALLOW", "DENY", "CONVERT"]
    selector: SourceSelector
    updates: SourceUpdate | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        obeying(self, UPDATES)
        patterns = [each.value for each in self.selector.constraints if each.condition == "MATCHES"]
        if self.selector.match_type == "REGEX":
            patterns.append(self.selector.identifier)
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return self


class SourcePolicy(Document):
    """Rules, of which the last ALLOW or DENY that fits counts; the first CONVERT that changes a source."""

    version: int = 1
    rules: Annotated[tuple[SourceRule, ...], Field(max_length=MOST_RULES)] = ()
