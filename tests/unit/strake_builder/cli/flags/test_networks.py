"""--deny-network, and its variable."""

from __future__ import annotations

import argparse

import pytest

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.errors import InvalidRequestError

VARIABLE = "STRAKE_DENY_NETWORKS"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def settings(*words: str):
    parser = argparse.ArgumentParser()
    add_registry_flags(parser)
    return read_registries(parser.parse_args(words))


def denied(*words: str) -> list[str]:
    return [str(each) for each in settings(*words).networks.denied]


def test_all_is_open_without_it():
    assert denied() == []


def test_it_is_given_more_than_once():
    assert denied("--deny-network", "10.0.0.0/8", "--deny-network=fe80::/10") == ["10.0.0.0/8", "fe80::/10"]


def test_the_variable_counts_where_the_flag_is_not_given(monkeypatch):
    monkeypatch.setenv(VARIABLE, "10.0.0.0/8, 169.254.169.254")
    assert denied() == ["10.0.0.0/8", "169.254.169.254/32"]
    assert denied("--deny-network=fe80::/10") == ["fe80::/10"]


def test_registries_that_flags_name_are_open():
    found = settings(
        "--deny-network=10.0.0.0/8",
        "--insecure-registry=registry.internal",
        "--registry-map=docker.io=mirror.internal/hub",
    )
    open_ones = {"registry.internal", "mirror.internal", "docker.io"}
    asked = [*open_ones, "other.internal", "registry.internal:5000"]
    assert {each for each in asked if found.endpoint(each).any_network} == open_ones


@pytest.mark.parametrize(
    ("text", "why"), [("10.0.0.1/8", "bits set after its prefix"), ("a", "is no network")]
)
def test_mistakes_name_where_they_are(monkeypatch, text, why):
    with pytest.raises(InvalidRequestError, match=f"--deny-network: .* ?{why}"):
        denied("--deny-network", text)
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InvalidRequestError, match=f"{VARIABLE}: .* ?{why}"):
        denied()
