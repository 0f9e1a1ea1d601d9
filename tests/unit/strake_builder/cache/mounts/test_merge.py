from __future__ import annotations

import pytest

from strake_builder.cache.mounts.listing import Kind, Listed, Listing, Pack
from strake_builder.cache.mounts.merge import FEW, PACK, listing_of, merged, to_write, with_packs
from strake_oci.spec.digest import Digest

DIRECTORY = Listed(Kind.DIRECTORY)
TOP = {b"": DIRECTORY}


def digest(number: int) -> Digest:
    return Digest.sha256(b"%d" % number)


def file(size: int = 1, pack: int | None = None, mtime: int = 0) -> Listed:
    return Listed(Kind.FILE, 0o644, size=size, mtime_ns=mtime, pack=None if pack is None else digest(pack))


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "found"),
    [
        ({}, {b"a": file(1)}, {b"b": file(2)}, {b"a": file(1), b"b": file(2)}),
        ({b"a": file(1)}, {b"a": file(1)}, {b"a": file(2)}, {b"a": file(2)}),
        ({b"a": file(1)}, {b"a": file(3)}, {b"a": file(2)}, {b"a": file(3)}),
        ({b"a": file(1)}, {}, {b"a": file(1)}, {}),
        ({b"a": file(1)}, {}, {b"a": file(2)}, {b"a": file(2)}),
        ({b"a": file(1)}, {b"a": file(1)}, {}, {}),
        ({b"d": DIRECTORY}, {}, {b"d": DIRECTORY, b"d/f": file()}, {b"d": DIRECTORY, b"d/f": file()}),
        ({}, {b"d": file()}, {b"d": DIRECTORY, b"d/f": file()}, {b"d": file()}),
        ({b"a": file(1, pack=1)}, {b"a": file(1, pack=1)}, {b"a": file(1, pack=2)}, {b"a": file(1, pack=2)}),
    ],
    ids=[
        "both add",
        "they change",
        "both change",
        "I remove",
        "I remove what they change",
        "they remove",
        "I remove a directory that they fill",
        "a file and a directory",
        "they packed it anew",
    ],
)
def test_merge(base, mine, theirs, found):
    assert merged(TOP | base, TOP | mine, TOP | theirs) == TOP | found


def test_a_hard_link_goes_with_its_file():
    link = Listed(Kind.HARD_LINK, target=b"a")
    base = TOP | {b"a": file()}
    assert merged(base, base | {b"b": link}, TOP) == TOP


def test_the_time_of_a_directory_is_no_change():
    assert Listed(Kind.DIRECTORY, mtime_ns=1).is_as(Listed(Kind.DIRECTORY, mtime_ns=2))
    assert not file(mtime=1).is_as(file(mtime=2))


def test_what_is_as_before_keeps_its_pack():
    base = Listing(TOP | {b"a": file(5, pack=1), b"b": file(5, pack=1)}, (Pack(digest(1), 10, 2000),))
    mine = with_packs(TOP | {b"a": file(5), b"b": file(6)}, base)
    assert mine[b"a"].pack == digest(1)
    assert to_write(mine, base) == [[b"b"]]


def test_packs_have_a_size():
    mine = {b"%d" % number: file(PACK // 2) for number in range(5)} | {b"z": file(3 * PACK)}
    assert list(map(len, to_write(mine, Listing()))) == [2, 2, 1, 1]


def test_what_is_left_of_a_pack_moves_when_most_is_not_needed():
    pack = Pack(digest(1), 100, 10 << 20)
    half = Listing({b"a": file(6 << 20, pack=1), b"b": file(4 << 20, pack=1)}, (pack,))
    assert to_write({b"a": half.entries[b"a"]}, half) == []
    assert to_write({b"b": half.entries[b"b"]}, half) == [[b"b"]]


def test_small_packs_are_put_together_where_there_are_many():
    packs = tuple(Pack(digest(number), 100, 2048 + number) for number in range(FEW + 1))
    entries = {b"%03d" % number: file(1000, pack=number) for number in range(FEW + 1)}
    (moved,) = to_write(entries, Listing(entries, packs))
    assert FEW // 2 <= len(moved) <= FEW


def test_a_listing_has_the_packs_that_it_needs():
    packs = {digest(number): Pack(digest(number), 1, 1) for number in range(3)}
    assert listing_of(TOP | {b"a": file(pack=1)}, packs).packs == (packs[digest(1)],)
