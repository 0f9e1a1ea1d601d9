"""What a layer takes away from its lower layers, by every backend: in any order, and beside what it brings itself."""

from __future__ import annotations

import stat

import pytest

from strake_builder.layers.entry import EntryType
from strake_builder.rootfs.backends.selection import open_snapshotter
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import KINDS, tree_of
from tests.unit.strake_builder.rootfs.test_layer_outline import entry, unpacked


def directory(path, **fields):
    return entry(path, EntryType.DIRECTORY, mode=0o755, **fields)


def link(path, target):
    return entry(path, EntryType.SYMLINK, target=target)


def hard_link(path, target):
    return entry(path, EntryType.HARD_LINK, target=target)


@pytest.fixture(params=KINDS)
def seen(request, tmp_path):
    """Return the tree of layers as a step sees it, which is also what those see who only read."""

    def see(*layers):
        home, work = tmp_path / "layers", tmp_path / "work"
        home.mkdir()
        work.mkdir()

        def look():
            directories = unpacked(layers, home)
            roots = open_snapshotter(request.param, str(work), lambda _: None)
            try:
                with roots.view(directories, "view") as root:
                    read = tree_of(root, links=True)
                with roots.mounted(directories, "step") as snapshot:
                    found = tree_of(snapshot.root, links=True)
                assert found == read
                return {path.decode(): about for path, about in found.items() if path}
            finally:
                roots.close()

        return isolated(look)

    return see


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[entry(b"x")], [entry(b"d/.wh.x")]], ["d", "x"]),
        ([[entry(b"d/x")], [directory(b"d"), entry(b"d/.wh.x"), entry(b"d/.wh..wh..opq")]], ["d"]),
        ([[entry(b"d/e/x")], [entry(b"d/e/.wh.x"), entry(b"d/e/y"), entry(b".wh.d")]], ["d", "d/e", "d/e/y"]),
        ([[entry(b"d/.wh.x")]], ["d"]),
    ],
    ids=["a directory that no layer has", "an opaque one", "one that is taken away", "the lowest layer"],
)
def test_a_whiteout_of_nothing_is_not_listed(seen, layers, expected):
    """Overlay lists whiteouts that are in a directory of one layer alone, and nobody can open them."""
    assert sorted(seen(*layers)) == expected


@pytest.mark.parametrize(
    "members", [[entry(b"y"), entry(b".wh..wh..opq")], [entry(b".wh..wh..opq"), entry(b"y")]]
)
def test_an_opaque_root_hides_everything(seen, members):
    lower = [entry(b"x"), entry(b"d/f")]
    assert sorted(seen(lower, [*members, entry(b".wh.x")], [entry(b"z")])) == ["y", "z"]


def test_a_directory_after_a_file_in_its_place_is_a_new_one(seen):
    assert list(seen([entry(b"d/old")], [entry(b"d"), directory(b"d")])) == ["d"]


def test_a_directory_is_filled_after_its_whiteout(seen):
    lower = [entry(b"d", EntryType.DIRECTORY, mode=0o700, uid=5), entry(b"d/old"), entry(b"d/e/old")]
    found = seen(lower, [entry(b".wh.d"), entry(b"d/new"), entry(b"d/e/new")])
    assert sorted(found) == ["d", "d/e", "d/e/new", "d/new"]
    assert found["d"][:2] == (stat.S_IFDIR | 0o755, 0)


@pytest.mark.parametrize(
    ("removals", "left"),
    [
        ([entry(b".wh.d")], ["hl"]),
        ([entry(b"d/.wh.f")], ["d", "hl"]),
        ([entry(b"d/.wh..wh..opq")], ["d", "hl"]),
        ([entry(b"d/new"), entry(b".wh.d")], ["d", "d/new", "hl"]),
    ],
)
def test_a_file_that_is_linked_and_taken_away_has_moved(seen, removals, left):
    found = seen([entry(b"d/f", content=b"1")], [hard_link(b"hl", b"d/f"), *removals])
    assert sorted(found) == left
    assert found["hl"][6] == (b"1", b"1")


def test_a_link_that_is_passed_through_and_taken_away_is_gone(seen):
    lower = [link(b"l", b"/d"), entry(b"d/old")]
    found = seen(lower, [entry(b"l/new"), entry(b".wh.l"), entry(b"l/newer")])
    assert sorted(found) == ["d", "d/new", "d/old", "l", "l/newer"]
    assert stat.S_ISDIR(found["l"][0])


def test_a_link_that_is_passed_through_has_its_time(seen):
    size_and_time = seen([link(b"l", b"/d")], [entry(b"l/f")])["l"][4]
    assert size_and_time == (len(b"/d"), 1000)


def test_names_of_a_lower_file_are_linked_one_by_one(seen):
    lower = [entry(b"f", content=b"old"), hard_link(b"g", b"f")]
    top = [hard_link(b"of-f", b"f"), entry(b"f", content=b"new"), hard_link(b"of-g", b"g")]
    found = seen(lower, top)
    assert {name: about[6][0] for name, about in found.items()} == {
        "f": b"new",
        "g": b"old",
        "of-f": b"old",
        "of-g": b"old",
    }


def test_a_link_of_a_lower_layer_has_a_second_name(seen):
    """The layer alone has a directory in its place."""
    found = seen([link(b"l", b"/d")], [entry(b"l/f"), hard_link(b"hl", b"l")])
    assert found["hl"][5] == b"/d"


def test_a_directory_has_the_attributes_of_its_last_member_alone(seen):
    lower = [
        directory(b"d", xattrs={b"user.lower": b"1"}),
        entry(b"odd", EntryType.DIRECTORY, mode=0o700),
    ]
    # The parent that has no member makes that all are looked up in the lower layer.
    top = [
        entry(b"odd/f"),
        entry(b"d/f"),
        directory(b"d"),
        directory(b"e", xattrs={b"user.first": b"1"}),
        directory(b"e", xattrs={b"user.last": b"1"}),
    ]
    found = seen(lower, top)
    assert (found["d"][7], found["e"][7]) == ({}, {b"user.last": b"1"})
