"""Lists without repeated entries: what the API server refuses is refused without one, too."""

from __future__ import annotations

import pytest

from tests.unit.strake_api.specs import refusal

KEY = {"name": "s", "key": "k"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"args": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}, "the name 'A' is there twice"),
        ({"secrets": [{"id": "a", "secretRef": KEY}] * 2}, "the id 'a' is there twice"),
        ({"ssh": [{"secretRef": {"name": "s"}}] * 2}, "the id 'default' is there twice"),
        ({"contexts": [{"name": "a", "image": "scratch"}] * 2}, "the name 'a' is there twice"),
        ({"verify": [{"name": "a", "kind": "test", "command": ["x"]}] * 2}, "the name 'a' is there twice"),
        ({"output": {"destinations": ["r.example/a:1"] * 2}}, "'r.example/a:1' is there twice"),
    ],
)
def test_what_is_there_twice_is_refused(changes, words):
    assert words in refusal(**changes)
