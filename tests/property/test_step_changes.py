"""Whatever a step does to a tree: its layer, over the lower layers, makes the tree that the step left."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.unpack.archive import unpack_layer
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import READ_OR_NOT, clone_root, tree_of

PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)


def _write(path: str, other: str) -> None:
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if not os.path.lexists(path) or (os.path.isfile(path) and not os.path.islink(path)):
        Path(path).write_text(other[-1])
        os.utime(path, (1000, 1000))  # a time that does not tell when it was written


def _remove(path: str, _: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(path)
    else:
        os.unlink(path)


def _copy(path: str, other: str) -> None:
    if not os.path.isdir(path):
        shutil.copy2(path, other, follow_symlinks=False)
    elif not os.path.realpath(other).startswith(os.path.realpath(path) + "/"):  # that has no end
        shutil.copytree(path, other, symlinks=True)


def _make_anew(path: str, _: str) -> None:
    """Have a directory as it was, in its own place."""
    aside = f"{path}-aside"
    shutil.copytree(path, aside, symlinks=True)
    remove_tree(path)
    shutil.copytree(aside, path, symlinks=True)
    remove_tree(aside)


DEEDS: dict[str, Callable[[str, str], object]] = {
    "write": _write,
    "make a directory": lambda path, _: os.makedirs(path, 0o755),
    "remove": _remove,
    "copy": _copy,
    "make anew": _make_anew,
    "move": os.replace,
    "link": lambda path, other: os.link(path, other, follow_symlinks=False),
    "make a symbolic link": lambda path, _: os.symlink("a", path),
    "make a pipe": lambda path, _: os.mkfifo(path),
    "give away": lambda path, _: os.chown(path, 5, 6, follow_symlinks=False),
    "change the mode": lambda path, _: os.chmod(os.path.realpath(path), 0o700),
    "set an attribute": lambda path, other: os.setxattr(path, "user.strake", other[-1:].encode()),
}
OFTEN = ("write", "make a directory", "remove", "copy", "move", "make anew")
Deed = tuple[str, str, str]
"""What is done, to what path, and with what other path."""
STEPS = st.lists(st.tuples(st.sampled_from([*DEEDS, *OFTEN]), PATHS, PATHS), min_size=1, max_size=10)


BASE: list[Deed] = [
    ("write", "a/a/a", "a"),
    ("write", "a/a/b", "b"),
    ("write", "a/b", "a"),
    ("make a directory", "b/a", "a"),
    ("write", "b/b/a", "b"),
]


def do(root: str, deeds: list[Deed]) -> None:
    """Do to a tree what can be done."""
    for deed, path, other in deeds:
        with contextlib.suppress(OSError, shutil.Error):
            DEEDS[deed](f"{root}/{path}", f"{root}/{other}")


def through_its_layer(kind: RootfsKind, scratch: str, steps: list[list[Deed]], *, is_read: bool) -> None:
    """Execute steps one over the other, each over the others' layers after a trip through tar."""
    roots = open_snapshotter(kind, os.path.join(scratch, "roots"), lambda _: None)
    layers: tuple[str, ...] = ()
    try:
        for number, deeds in enumerate(steps):
            with roots.mounted(layers, f"step{number}", is_read=is_read) as snapshot:
                do(snapshot.root, deeds)
                left = tree_of(snapshot.root, links=False)
            unpacked = os.path.join(scratch, f"layer{number}")
            os.mkdir(unpacked, 0o755)
            data = b"".join(tar_stream(snapshot.changes()))
            unpack_layer(io.BytesIO(data), unpacked, lowest=not layers)
            clone_root(snapshot.upper, unpacked)
            layers = (*layers, unpacked)
            with roots.view(layers, f"view{number}") as root:
                assert tree_of(root, links=False) == left
    finally:
        roots.close()


@pytest.mark.parametrize(("kind", "is_read"), READ_OR_NOT)
def test_a_layer_says_what_a_step_did(kind, is_read):
    # A failure is told as it is found: to make it smaller takes minutes.
    @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate])
    @given(st.lists(STEPS, min_size=1, max_size=2))
    def check(steps):
        with tempfile.TemporaryDirectory() as scratch:
            os.mkdir(os.path.join(scratch, "roots"))
            through_its_layer(kind, scratch, [BASE, *steps], is_read=is_read)

    isolated(check)
