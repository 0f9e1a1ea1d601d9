"""Whatever a step does to a tree: its layer, over the lower layers, makes the tree that the step left."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.diff.changes import tar_stream
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.unpack.archive import unpack_layer
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import KINDS, clone_root, tree_of

PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
KINDS_OF_DEEDS = st.sampled_from(
    [
        "write",
        "write",
        "directory",
        "directory",
        "remove",
        "remove",
        "copy",
        "copy",
        "move",
        "symlink",
        "chmod",
    ]
)
Deed = tuple[str, str, str]
"""What is done, to what path, and with what other path."""
DEEDS = st.lists(st.tuples(KINDS_OF_DEEDS, PATHS, PATHS), min_size=1, max_size=10)


def do(root: str, deeds: list[Deed]) -> None:
    """Do to a tree what can be done; files get times that do not tell when they were written."""
    for deed, path, other in deeds:
        with contextlib.suppress(OSError, shutil.Error):
            _do(deed, f"{root}/{path}", f"{root}/{other}", other)


def _do(deed: str, path: str, second: str, other: str) -> None:
    match deed:
        case "write":
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            if not os.path.islink(path):
                Path(path).write_text(other[0])
                os.utime(path, (1000, 1000))
        case "directory":
            os.makedirs(path, 0o755)
        case "remove":
            remove_tree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        case "copy" if os.path.realpath(second).startswith(os.path.realpath(path) + "/"):
            pass  # without end
        case "copy" if os.path.isdir(path):
            shutil.copytree(path, second, symlinks=True)
        case "copy":
            shutil.copy2(path, second, follow_symlinks=False)
        case "move":
            os.rename(path, second)
        case "symlink":
            os.symlink("a", path)
        case _:
            os.chmod(os.path.realpath(path), 0o700)


def through_its_layer(kind: RootfsKind, scratch: str, steps: list[list[Deed]]) -> None:
    """Execute steps one over the other, each over the others' layers after a trip through tar."""
    roots = open_snapshotter(kind, os.path.join(scratch, "roots"), lambda _: None)
    layers: tuple[str, ...] = ()
    try:
        for number, deeds in enumerate(steps):
            with roots.mounted(layers, f"step{number}") as snapshot:
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_says_what_a_step_did(kind):
    # A failure is told as it is found: to make it smaller takes minutes.
    @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate])
    @given(st.lists(DEEDS, min_size=2, max_size=3))
    def check(steps):
        with tempfile.TemporaryDirectory() as scratch:
            os.mkdir(os.path.join(scratch, "roots"))
            through_its_layer(kind, scratch, steps)

    isolated(check)
