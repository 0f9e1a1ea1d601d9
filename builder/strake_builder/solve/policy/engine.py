"""Decides what source policies make of a source. No I/O.

Source of the order in which rules count: BuildKit v0.34, sourcepolicy/engine.go. Each policy is asked in
turn. A rule that changes a source has all asked anew with what it has become.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from strake_api.models.source_policy import AttributeConstraint, SourcePolicy, SourceRule, SourceSelector
from strake_builder.errors import ForbiddenSourceError, InvalidRequestError, redact
from strake_oci.lazy_dataclass import dataclass

_MOST_CHANGES = 20
"""Of one source; BuildKit's limit, too."""
_GROUP = re.compile(r"\$(?:\{([0-9]+)\}|([0-9]+)|(\$))")


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """A source as policies see it.

    Attributes:
        identifier: its kind and name, as `docker-image://docker.io/library/alpine:3`.
        attrs: what else is asked of it, by BuildKit's names.
    """

    identifier: str
    attrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The scheme of the identifier."""
        return self.identifier.partition("://")[0]


def evaluate(policies: tuple[SourcePolicy, ...], source: SourceIdentity) -> SourceIdentity:
    """Return what stands for a source.

    Raises:
        ForbiddenSourceError: a policy denies it.
        InvalidRequestError: rules change it again and again, or into a source of another kind.
    """
    found = source
    for _ in range(_MOST_CHANGES + 1):
        changed = _asked(policies, found)
        if changed is None:
            return found
        if changed.kind != source.kind and {changed.kind, source.kind} != {"http", "https"}:
            raise InvalidRequestError(
                f"the source policy makes {redact(changed.identifier)} of {redact(source.identifier)}, "
                "which is a source of another kind",
                hint="see the rules of action CONVERT",
            )
        found = changed
    raise InvalidRequestError(
        f"the source policy changes {redact(source.identifier)} again and again",
        hint="see the rules of action CONVERT: what one makes, another changes back",
    )


def _asked(policies: tuple[SourcePolicy, ...], source: SourceIdentity) -> SourceIdentity | None:
    for policy in policies:
        changed = _by_policy(policy, source)
        if changed is not None:
            return changed
    return None


def _by_policy(policy: SourcePolicy, source: SourceIdentity) -> SourceIdentity | None:
    """Return what a policy changes a source into; None where it leaves it as it is."""
    is_denied = False
    for rule in policy.rules:
        if not _fits(rule.selector, source):
            continue
        if rule.action == "CONVERT":
            changed = _changed(rule, source)
            if changed != source:
                return changed
        else:
            is_denied = rule.action == "DENY"
    if is_denied:
        raise ForbiddenSourceError(
            f"the source policy denies {redact(source.identifier)}",
            hint="use another source, or see the rules of action DENY",
        )
    return None


def _fits(selector: SourceSelector, source: SourceIdentity) -> bool:
    if not all(_holds(each, source.attrs) for each in selector.constraints):
        return False
    return selector.identifier == source.identifier or _match(selector, source.identifier) is not None


def _holds(constraint: AttributeConstraint, attrs: Mapping[str, str]) -> bool:
    value = attrs.get(constraint.key, "")
    match constraint.condition:
        case "EQUAL":
            return value == constraint.value
        case "NOTEQUAL":
            return value != constraint.value
        case "MATCHES":
            return re.search(constraint.value, value) is not None


def _match(selector: SourceSelector, identifier: str) -> re.Match[str] | None:
    match selector.match_type:
        case "EXACT":
            return None
        case "REGEX":
            return re.search(selector.identifier, identifier)
        case "WILDCARD":
            pattern = "(.*)".join(map(re.escape, selector.identifier.split("*")))
            return re.fullmatch(pattern, identifier, re.DOTALL)


def _changed(rule: SourceRule, source: SourceIdentity) -> SourceIdentity:
    updates = rule.updates
    assert updates is not None, "the validator saw to it"  # noqa: S101 - narrows the type
    wanted = updates.identifier or rule.selector.identifier
    found = _match(rule.selector, source.identifier)
    if found is None:
        identifier = wanted
    elif rule.selector.match_type == "REGEX":
        identifier = re.sub(rule.selector.identifier, lambda each: _filled(wanted, each), source.identifier)
    else:
        identifier = _filled(wanted, found)
    return SourceIdentity(identifier, {**source.attrs, **updates.attrs})


def _filled(text: str, found: re.Match[str]) -> str:
    """Return a text with `${1}` and so on replaced by groups; one that is not there is nothing, as in Go."""

    def group(each: re.Match[str]) -> str:
        if each[3]:
            return "$"
        number = int(each[1] or each[2])
        return (found[number] or "") if number <= (found.re.groups) else ""

    return _GROUP.sub(group, text)
