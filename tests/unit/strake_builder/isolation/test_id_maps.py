from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.isolation.id_maps import (
    EVERY_ID,
    Extent,
    covered,
    granted_ids,
    holds,
    parse_map,
    same_ids,
)

EVERYTHING = "         0          0 4294967295\n"
POD = "         0    1000000      65536\n"


def test_a_pod_maps_all_it_has_to_the_same_ids():
    assert same_ids(parse_map(POD)) == (Extent(0, 0, 65536),)


def test_of_everything_the_last_id_is_left_out():
    assert covered(parse_map(EVERYTHING)) == EVERY_ID
    assert same_ids(parse_map(EVERYTHING)) == (Extent(0, 0, EVERY_ID - 1),)


@given(st.lists(st.integers(1, 1 << 20), min_size=1, max_size=5))
def test_every_id_means_what_it_meant(sizes):
    extents, first = [], 0
    for size in sizes:
        extents.append(Extent(first, 7_000_000 + first, size))
        first += size + 3
    mapped = same_ids(extents)
    assert [(each.inside, each.count) for each in mapped] == [(each.inside, each.count) for each in extents]
    assert all(each.inside == each.outside for each in mapped)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("joe:100000:65536\n", (Extent(1, 100000, 65536),)),
        ("1000:5:7\nother:9:9\njoe:50:3\n", (Extent(1, 5, 7), Extent(8, 50, 3))),
        ("joe:x:3\njoe:1\n\n# joe:1:1\njoe:4:0\n", ()),
        ("", ()),
    ],
    ids=["a range", "two ranges, by number and name", "nonsense", "nothing"],
)
def test_the_ranges_of_a_user_follow_its_own_id(table, expected):
    assert granted_ids(table, "joe", 1000) == expected


@pytest.mark.parametrize(("number", "held"), [(0, True), (4, False), (5, True), (6, True), (7, False)])
def test_which_ids_a_map_has(number, held):
    extents = parse_map("0 1000 1\n5 100000 2\n")
    assert holds(extents, number) is held
