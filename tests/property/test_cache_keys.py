"""Encodings of values that differ differ: nothing a Dockerfile says can be read as something else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strake_builder.cache.keys import encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


def typed(value) -> object:
    """The value with its types, since Python takes True for 1."""
    return (type(value), tuple(map(typed, value)) if isinstance(value, tuple) else value)


@given(VALUES, VALUES)
def test_encodings_are_equal_only_for_equal_values(one, other):
    assert (encode(one) == encode(other)) == (typed(one) == typed(other))


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_no_encoding_is_the_beginning_of_another(one, other):
    first, second = encode(tuple(one)), encode(tuple(other))
    assert first == second or not second.startswith(first)
