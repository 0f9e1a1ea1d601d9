"""What the key of Strake's own images is made of."""

from __future__ import annotations

from tests.images.own import INPUTS, ROOT


def test_everything_that_the_context_holds_counts():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} <= set(INPUTS)


def test_every_input_is_there():
    assert [name for name in INPUTS if not (ROOT / name).exists()] == []
