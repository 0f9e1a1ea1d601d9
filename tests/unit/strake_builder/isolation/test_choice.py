from __future__ import annotations

import pytest

from strake_builder.errors import IsolationError
from strake_builder.isolation import choice
from strake_builder.isolation.ways import WAYS, Isolation, Refusal


@pytest.fixture
def ways(monkeypatch):
    """Let ways be refused."""

    def refuse(*refused: str) -> None:
        def attempt(way, before):
            if way in refused:
                return Refusal(way, f"no {way} for you", f"allow {way}")
            return Isolation(way, refused=before)

        monkeypatch.setattr(choice, "_try", attempt)

    return refuse


def test_the_strictest_that_can_be_had_is_taken(ways):
    for number, way in enumerate(WAYS):
        ways(*WAYS[:number])
        found = choice.choose("auto")
        assert found.way == way
        assert [refusal.way for refusal in found.refused] == list(WAYS[:number])


def test_the_reason_names_what_is_stricter(ways):
    ways("root", "nested")
    assert choice.choose("auto").reason == "root: no root for you; nested: no nested for you"


def test_a_way_that_was_asked_for_is_had_or_nothing(ways):
    ways("nested")
    assert choice.choose("chroot").refused == ()
    with pytest.raises(IsolationError, match="the isolation nested cannot be had here: no nested") as caught:
        choice.choose("nested")
    assert caught.value.hint == "allow nested"


def test_where_nothing_can_be_had_every_reason_is_given(ways):
    ways(*WAYS)
    with pytest.raises(IsolationError) as caught:
        choice.choose("auto")
    assert all(f"{way}: no {way} for you" in caught.value.message for way in WAYS)
