"""Rules in BuildKit's order."""

from __future__ import annotations

from typing import Any

import pytest

from strake_api.models.source_policy import SourcePolicy
from strake_builder.errors import ForbiddenSourceError, InvalidRequestError
from strake_builder.solve.policy.engine import SourceIdentity, evaluate

ALPINE = "docker-image://docker.io/library/alpine:3"


def rule(action: str, identifier: str, to: str | None = None, **more: Any) -> dict[str, Any]:
    attrs = more.pop("attrs", {})
    found: dict[str, Any] = {"action": action, "selector": {"identifier": identifier, **more}}
    if to is not None:
        found["updates"] = {"identifier": to, "attrs": attrs}
    return found


def policy(*rules: dict[str, Any]) -> SourcePolicy:
    return SourcePolicy.model_validate({"version": 1, "rules": list(rules)})


CHANGES = {
    "nothing fits": (
        [rule("CONVERT", "docker-image://a.example/*", "docker-image://b.example/c")],
        ALPINE,
        ALPINE,
    ),
    "itself": (
        [rule("CONVERT", ALPINE, f"{ALPINE}@sha256:{'0' * 64}", matchType="EXACT")],
        ALPINE,
        f"{ALPINE}@sha256:{'0' * 64}",
    ),
    "a star": (
        [rule("CONVERT", "docker-image://docker.io/*:*", "docker-image://mirror.example/${1}:${2}")],
        ALPINE,
        "docker-image://mirror.example/library/alpine:3",
    ),
    "a star has no special characters beside it": (
        [rule("CONVERT", "docker-image://docker.io/library/alpin.:*", "docker-image://x.example/a")],
        ALPINE,
        ALPINE,
    ),
    "a group": (
        [rule("CONVERT", "docker\\.io/library/([a-z]+)", "mirror.example/$1", matchType="REGEX")],
        ALPINE,
        "docker-image://mirror.example/alpine:3",
    ),
    "a group that is not there, and a dollar": (
        [rule("CONVERT", "^(.*):3$", "${1}:a${7}$$", matchType="REGEX")],
        ALPINE,
        "docker-image://docker.io/library/alpine:a$",
    ),
    "a chain": (
        [rule("CONVERT", "docker-image://*:3", "docker-image://${1}:4"), rule("CONVERT", "*:4", "${1}:5")],
        ALPINE,
        "docker-image://docker.io/library/alpine:5",
    ),
    "the same again": ([rule("CONVERT", ALPINE, ALPINE)], ALPINE, ALPINE),
    "allowed after it was denied": ([rule("DENY", "*"), rule("ALLOW", "docker-image://*")], ALPINE, ALPINE),
    "what is converted is not denied": (
        [rule("DENY", "*:3"), rule("CONVERT", "*:3", "${1}:4")],
        ALPINE,
        "docker-image://docker.io/library/alpine:4",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_stands_for_a_source(name):
    rules, asked, found = CHANGES[name]
    assert evaluate((policy(*rules),), SourceIdentity(asked)).identifier == found


@pytest.mark.parametrize(
    "rules",
    [
        [rule("DENY", "docker-image://*")],
        [rule("ALLOW", "*"), rule("DENY", ALPINE, matchType="EXACT")],
        [rule("DENY", "alpine", matchType="REGEX")],
        [rule("CONVERT", "*:3", "${1}:4"), rule("DENY", "*:4")],
    ],
)
def test_what_is_denied(rules):
    with pytest.raises(ForbiddenSourceError, match="the source policy denies docker-image://"):
        evaluate((policy(*rules),), SourceIdentity(ALPINE))


def test_one_policy_allows_nothing_that_another_denies():
    with pytest.raises(ForbiddenSourceError):
        evaluate((policy(rule("ALLOW", "*")), policy(rule("DENY", "*"))), SourceIdentity(ALPINE))


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("EQUAL", "sha256:a", True),
        ("EQUAL", "sha256:b", False),
        ("NOTEQUAL", "", True),
        ("NOTEQUAL", "sha256:a", False),
        ("MATCHES", "^sha256:", True),
        ("MATCHES", "^sha512:", False),
    ],
)
def test_attributes(condition, value, holds):
    constraint = {"key": "http.checksum", "value": value, "condition": condition}
    denied = policy(rule("DENY", "*", constraints=[constraint]))
    asked = SourceIdentity("https://a.example/b", {"http.checksum": "sha256:a"})
    if holds:
        with pytest.raises(ForbiddenSourceError):
            evaluate((denied,), asked)
    else:
        assert evaluate((denied,), asked) == asked


def test_an_attribute_is_set():
    pinned = policy(rule("CONVERT", "https://a.example/b", "", attrs={"http.checksum": "sha256:a"}))
    found = evaluate((pinned,), SourceIdentity("https://a.example/b"))
    assert (found.identifier, found.attrs) == ("https://a.example/b", {"http.checksum": "sha256:a"})


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([rule("CONVERT", "*:3", "${1}:4"), rule("CONVERT", "*:4", "${1}:3")], "again and again"),
        ([rule("CONVERT", ALPINE, "https://a.example/alpine.tar")], "a source of another kind"),
    ],
)
def test_rules_that_cannot_be_carried_out(rules, words):
    with pytest.raises(InvalidRequestError, match=words):
        evaluate((policy(*rules),), SourceIdentity(ALPINE))


@pytest.mark.parametrize(
    "wrong",
    [
        rule("CONVERT", "a"),
        rule("DENY", "a", "b"),
        rule("DENY", "(", matchType="REGEX"),
        rule("DENY", "a", constraints=[{"key": "k", "value": "[", "condition": "MATCHES"}]),
        rule("WARN", "a"),
        rule("DENY", ""),
        {"action": "DENY", "selector": {"identifier": "a"}, "more": 1},
    ],
)
def test_what_is_no_policy(wrong):
    with pytest.raises(ValueError, match=r"."):
        policy(wrong)
