"""What holds for cache mounts whatever two builds make of one: nothing added is lost, and all can be on a disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strake_builder.cache.mounts.listing import Kind, Listed, Pack, read_listing, write_listing
from strake_builder.cache.mounts.merge import listing_of, merged, to_write, with_packs
from strake_oci.spec.digest import Digest

PACKS = {digest: Pack(digest, 1, 5 << 20) for digest in map(Digest.sha256, (b"1", b"2", b"3"))}
NAMES = st.sampled_from([b"a", b"b", b"c\xff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
FILES = st.builds(
    lambda size, time, pack: Listed(Kind.FILE, 0o644, size=size << 20, mtime_ns=time, pack=pack),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from(sorted(PACKS)),
)
LINKS = st.builds(lambda target: Listed(Kind.SYMLINK, 0o777, target=target), PATHS)


@st.composite
def trees(draw):
    """Draw what can be on a disk: directories where something is inside, links to files."""
    tree = {b"": Listed(Kind.DIRECTORY)}
    for path, leaf in draw(st.dictionaries(PATHS, FILES | LINKS, max_size=6)).items():
        parts = path.split(b"/")
        parents = [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
        if path in tree or any(
            tree.get(each, Listed(Kind.DIRECTORY)).kind is not Kind.DIRECTORY for each in parents
        ):
            continue
        tree |= {each: Listed(Kind.DIRECTORY) for each in parents} | {path: leaf}
    files = [path for path, each in tree.items() if each.kind is Kind.FILE]
    if files and b"z" not in tree and draw(st.booleans()):
        tree[b"z"] = Listed(Kind.HARD_LINK, 0o644, target=draw(st.sampled_from(files)))
    return tree


@given(trees(), trees(), trees())
def test_every_merge_can_be_kept_and_restored(base, mine, theirs):
    listing = listing_of(merged(base, mine, theirs), PACKS)
    assert read_listing(write_listing(listing)) == listing


@given(trees(), trees(), trees())
def test_no_file_is_lost_that_one_side_added(base, mine, theirs):
    found = merged(base, mine, theirs)
    for path, each in mine.items():
        if each.kind is Kind.FILE and not each.is_as(base.get(path)):
            assert found.get(path) == each or not _can_be(path, mine, theirs)
    for path, each in theirs.items():
        if each.kind is Kind.FILE and not each.is_as(base.get(path)) and _unchanged(path, base, mine):
            assert path in found or not _can_be(path, mine, theirs)


def _unchanged(path, base, mine):
    return mine[path].is_as(base.get(path)) if path in mine else True


def _can_be(path, *sides):
    """Say whether no side has something else than a directory where a path needs one, or is one itself."""
    parts = path.split(b"/")
    parents = [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
    return not any(
        side[each].kind is not Kind.DIRECTORY for side in sides for each in parents if each in side
    )


@given(trees())
def test_a_mount_that_nobody_changed_stays(tree):
    assert merged(tree, tree, tree) == tree
    assert merged({}, {}, tree) == tree


@given(trees(), trees())
def test_new_content_is_in_one_pack_and_all_else_has_one(base, left):
    found = {
        path: Listed(each.kind, each.mode, size=each.size, mtime_ns=each.mtime_ns, target=each.target)
        for path, each in left.items()
    }
    before = listing_of(base, PACKS)
    mine = with_packs(found, before)
    written = [path for group in to_write(mine, before) for path in group]
    assert len(written) == len(set(written))
    assert {path for path, each in mine.items() if each.kind is Kind.FILE and each.pack is None} <= set(
        written
    )
