"""What a layer takes away from its lower layers, by every backend: in any order, and beside what it brings itself."""

from __future__ import annotations

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
    "members", [[entry(b"y"), entry(b".wh..wh..opq")], [entry(b".wh..wh..opq"), entry(b"y")]]
)
def test_an_opaque_root_hides_everything(seen, members):
    lower = [entry(b"x"), entry(b"d/f")]
    assert sorted(seen(lower, [*members, entry(b".wh.x")], [entry(b"z")])) == ["y", "z"]


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
