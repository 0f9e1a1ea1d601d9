"""Patterns of names, compared with the regular expressions that they stand for."""

import re

from hypothesis import given
from hypothesis import strategies as st

from strake_api.values.pattern import matches

LETTERS = st.text("ab*", max_size=12)


@given(LETTERS, st.text("ab\n", max_size=12))
def test_a_star_is_any_characters(pattern, text):
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches([pattern], [text]) == bool(re.fullmatch(expression, text, re.DOTALL))


def test_one_of_several_fits_one_of_several():
    assert matches(["a", "b*"], ["c", "bc"])
    assert not matches(["a", "b*"], ["c", "cb"])
    assert not matches([], ["a"])


def test_many_stars_keep_nobody_busy():
    assert not matches(["a*" * 2000 + "b"], ["a" * 20_000])
