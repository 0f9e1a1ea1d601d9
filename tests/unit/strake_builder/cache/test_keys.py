"""Keys: equal for equal things, different for different ones, and the same in every release."""

from __future__ import annotations

import pytest

from strake_builder.cache.keys import (
    Key,
    encode,
    key_of,
    layers_state,
    occurrence_key,
    state_after,
    step_key,
)
from strake_oci.spec.digest import DiffID, Digest

ONE, TWO = (DiffID(Digest.sha256(data)) for data in (b"1", b"2"))


def test_an_encoding_names_type_and_length():
    assert encode(("ab", 7, None)) == (
        b"l\0\0\0\0\0\0\0\x1e" + b"s\0\0\0\0\0\0\0\x02ab" + b"i\0\0\0\0\0\0\0\x017" + b"n\0\0\0\0\0\0\0\0"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a",), ("a", "")),
        ((("a",), "b"), ("a", ("b",))),
        (("1",), (1,)),
        ((1,), (True,)),
        (("",), (None,)),
        (("a",), (b"a",)),
        (((),), ()),
    ],
)
def test_different_values_have_different_keys(one, other):
    assert key_of(*one) != key_of(*other)


def test_a_key_stays_the_same_from_release_to_release():
    """Another value here empties everybody's cache: change `FORMAT` with it, and say so."""
    step = step_key(layers_state((ONE,)), ("RUN", ("true",)), (("files", b"x"),))
    assert step.hex == "ae190bbf3e89d5b32cd1d31ebe95bfc6143efd511ad3af2e33c72d1208cc6cc5"


def test_the_order_of_layers_counts():
    assert layers_state((ONE, TWO)) != layers_state((TWO, ONE))


def test_lower_layers_count_unless_there_are_none():
    keys = {step_key(state, "x", ()) for state in (layers_state((ONE,)), layers_state(()), None)}
    assert len(keys) == 3


def test_states_and_keys_of_the_same_parts_differ():
    state, key = layers_state((ONE,)), step_key(None, "x", ())
    assert len({state, key, state_after(state, key), state_after(key, state), occurrence_key("x", ())}) == 5


@pytest.mark.parametrize("text", ["", "0" * 63, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n"])
def test_a_key_is_nothing_but_a_digest(text):
    with pytest.raises(ValueError, match="is not a key"):
        Key(text)
