"""An image may list a layer several times; every backend shows what applying them one after the other gives."""

from __future__ import annotations

import io
import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.unpack.archive import unpack_layer
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.hostile_images import layer
from tests.fixtures.content.snapshots import KINDS, layer_of, make_layer, names, tree_of
from tests.fixtures.content.tar_members import member

NAMES = ("a", "b", "c")
MEMBERS = {
    "file": lambda path, number: member(path, b"content %d" % number),
    "directory": lambda path, number: member(path, mode=0o700 + number, type=b"5"),
    "link": lambda path, number: member(path, type=b"2", linkname=f"to-{number}"),
    "whiteout": lambda path, _: member(_beside(path, f".wh.{path.rpartition('/')[2]}")),
    "opaque": lambda path, _: member(f"{path}/.wh..wh..opq"),
}


def _beside(path: str, name: str) -> str:
    return f"{path.rpartition('/')[0]}/{name}".lstrip("/")


def stacked(kind: RootfsKind, layers: list[str], scratch: Path) -> dict:
    """Return the tree that a backend shows over layers, bottom first."""
    directory = tempfile.mkdtemp(dir=scratch)
    roots = open_snapshotter(kind, directory, lambda _: None)
    try:
        with roots.mounted(layers, "step") as snapshot:
            writable = tree_of(snapshot.root, links=True)
        with roots.view(layers, "view") as root:
            assert tree_of(root, links=True) == writable
        return writable
    finally:
        roots.close()


def unpacked(archive: bytes, scratch: Path) -> str:
    """Unpack a layer into a new directory."""
    directory = tempfile.mkdtemp(dir=scratch)
    os.chmod(directory, 0o755)
    unpack_layer(io.BytesIO(archive), directory, lowest=False)
    return directory


paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


def is_archive(members: list[tuple[str, str]]) -> bool:
    """Whether nothing lies inside what is no directory, and whiteouts are where there is a lower directory.

    Overlay lists a whiteout in a directory that hides nothing, repeated layers or not.
    """
    if any(kind == "whiteout" and "/" in path for path, kind in members):
        return False
    leaves = [path for path, kind in members if kind not in {"directory", "opaque"}]
    return not any(path.startswith(f"{leaf}/") for leaf in leaves for path, _ in members)


archives = st.lists(
    st.tuples(paths, st.sampled_from(sorted(MEMBERS))), max_size=5, unique_by=lambda one: one[0]
).filter(is_archive)


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(archives, min_size=2, max_size=3),
    order=st.lists(st.integers(0, 2), min_size=2, max_size=6),
)
def test_repeats_show_what_copies_of_the_layer_would(contents, order):
    def work() -> None:
        with tempfile.TemporaryDirectory() as made:
            scratch = Path(made)
            tars = [
                layer(*(MEMBERS[kind](path, number) for path, kind in sorted(drawn)))
                for number, drawn in enumerate(contents)
            ]
            layers = [unpacked(tar, scratch) for tar in tars]
            stack = [layers[number % len(layers)] for number in order]
            copies = [unpacked(tars[number % len(tars)], scratch) for number in order]
            base = unpacked(layer(*(member(name, b"base") for name in NAMES[:2])), scratch)
            stack, copies = [base, *stack], [base, *copies]  # the lowest of an image has no whiteouts
            wanted = stacked("overlay", copies, scratch)
            assert stacked("overlay", stack, scratch) == wanted
            assert stacked("scan", stack, scratch) == wanted

    isolated(work)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "order", [p for p in itertools.product("AB", repeat=3) if p[0] != p[1] or p[1] != p[2]]
)
def test_a_step_over_repeats_has_the_layer_of_what_it_changed(kind, order, tmp_path):
    layers = {"A": make_layer(tmp_path / "A", d__a="1"), "B": make_layer(tmp_path / "B", d__b="2")}
    (tmp_path / "work").mkdir()
    changed = layer_of(
        kind, tmp_path / "work", [layers[name] for name in order], lambda root: Path(f"{root}/d/a").unlink()
    )
    assert names(changed) == ["d", "d/.wh.a"]
