"""Which steps a build need not execute, case by case."""

from __future__ import annotations

import pytest

from strake_builder.solve.caching.selection import select, select_all
from tests.unit.strake_builder.solve.builds import build_of, key, keys_of, result_of

ONE_STAGE = "FROM scratch\nCOPY a /\nENV x=1\nCOPY b /\nCOPY c /"
STAGE_OVER_STAGE = "FROM scratch AS one\nCOPY a /\nCOPY b /\nFROM one\nCOPY c /"
COPY_FROM_STAGE = "FROM scratch AS one\nCOPY a /\nFROM scratch\nCOPY --from=one a /\nCOPY b /"
MOUNT_OF_STAGE = 'FROM scratch AS one\nCOPY a /\nFROM scratch\nRUN --mount=from=one,target=/m ["x"]'
CACHE_OF_STAGE = (
    'FROM scratch AS one\nCOPY a /\nFROM scratch\nRUN --mount=type=cache,from=one,target=/m ["x"]'
)
READ_BY_READ = "FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY --from=one a /\nFROM scratch\nCOPY --from=two a /"

CASES = {
    "nothing found": (ONE_STAGE, [], {0: []}, {0}),
    "all found": (ONE_STAGE, [(0, 0), (0, 2), (0, 3)], {0: [0, 2, 3]}, {0}),
    "the first found": (ONE_STAGE, [(0, 0)], {0: [0]}, {0}),
    "a miss below a find": (ONE_STAGE, [(0, 2), (0, 3)], {0: []}, {0}),
    "a miss between finds": (ONE_STAGE, [(0, 0), (0, 3)], {0: [0]}, {0}),
    "a whole base stage": (STAGE_OVER_STAGE, [(0, 0), (0, 1), (1, 0)], {0: [0, 1], 1: [0]}, {0, 1}),
    "a base stage with a miss": (STAGE_OVER_STAGE, [(0, 0), (1, 0)], {0: [0], 1: []}, {0, 1}),
    "a read stage, reader found": (COPY_FROM_STAGE, [(1, 0)], {0: [], 1: [0]}, {1}),
    "a read stage, reader not found": (COPY_FROM_STAGE, [(0, 0)], {0: [0], 1: []}, {0, 1}),
    "a read stage, a miss below its reader": (COPY_FROM_STAGE, [(1, 1)], {0: [], 1: []}, {0, 1}),
    "a mounted stage, RUN found": (MOUNT_OF_STAGE, [(1, 0)], {0: [], 1: [0]}, {1}),
    "a mounted stage, RUN not found": (MOUNT_OF_STAGE, [], {0: [], 1: []}, {0, 1}),
    "a cache mount's stage": (CACHE_OF_STAGE, [], {0: [], 1: []}, {0, 1}),
    "a stage read by a stage that is not needed": (READ_BY_READ, [(2, 0)], {0: [], 1: [], 2: [0]}, {2}),
    "a stage read by a stage that is needed": (READ_BY_READ, [(1, 0)], {0: [], 1: [0], 2: []}, {1, 2}),
}


@pytest.mark.parametrize(("text", "found", "hits", "needed"), CASES.values(), ids=CASES.keys())
def test_selection(text, found, hits, needed):
    build = build_of(text)
    selection = select(build, keys_of(build), {key(*step): result_of(key(*step)) for step in found})
    expected = {s: tuple(result_of(key(s, position)) for position in hit) for s, hit in hits.items()}
    assert selection.hits == expected
    assert selection.needed == needed


def test_a_step_whose_key_is_not_known_is_a_miss():
    build = build_of(ONE_STAGE)
    found = {key(0, position): result_of(key(0, position)) for position in (0, 2, 3)}
    assert select(build, keys_of(build, {0: 2}), found).hits == {0: (result_of(key(0, 0)),)}


def test_without_a_cache_every_step_of_every_stage_executes():
    selection = select_all(build_of(READ_BY_READ))
    assert selection.hits == {0: (), 1: (), 2: ()}
    assert selection.needed == {0, 1, 2}
