"""Whatever layers hold: they make the tree that the image specification says, by every backend, and as outlines."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import LayerError
from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.outline import UnfitForOutlineError
from strake_builder.rootfs.outlined_stack import OutlinedStack
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import KINDS, tree_of
from tests.property.changesets import Changesets, Member, Node, RefusedError, UnspecifiedError
from tests.unit.strake_builder.rootfs.test_layer_outline import outlined, unpacked

Layers = list[list[Member]]
# A failure is told as it is found: to make it smaller takes minutes.
examples = settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate])

# Few paths, so that members meet. The root has no member: containerd leaves it as it is, and Strake does not.
NAMES = [b"a", b"b"]
PAIRS = [b"a/a", b"a/b", b"a/c", b"b/a", b"b/b"]
DEEP = [b"a/a/a", b"a/a/b", b"a/b/a", b"b/a/b", b"a/a/a/a", b"a/b/a/b", b"b/a/b/c"]
PATHS = st.sampled_from([*NAMES * 3, *PAIRS * 2, *DEEP])
UPWARD = [b"..", b"../a", b"../b", b"../../a", b"../../../../a/b", b"/", b"."]
TARGETS = PATHS | PATHS.map(lambda path: b"/" + path) | st.sampled_from(UPWARD)
METADATA = [
    Entry(b"", EntryType.FILE, mode=0o755),
    Entry(b"", EntryType.FILE, mode=0o755, uid=5, gid=70_000, mtime=7),
    Entry(b"", EntryType.FILE, mode=0o1777, mtime=1000),
    Entry(b"", EntryType.FILE, mode=0, gid=6, mtime=2_000_000_000),
    Entry(b"", EntryType.FILE, mode=0o4711, uid=80_000, xattrs={b"user.one": b"1"}),
    Entry(b"", EntryType.FILE, mode=0o2750, mtime=1, xattrs={b"user.two": b"2", b"user.three": b""}),
]
CONTENTS = [b"", b"1", b"22"]


class Drawn(NamedTuple):
    """What a member may be made of."""

    path: bytes
    link: bytes
    other: bytes
    metadata: Entry
    content: bytes


def _plain(kind: EntryType) -> Callable[[Drawn], Member]:
    return lambda drawn: (drawn.metadata._replace(path=drawn.path, type=kind), b"")


def _file(drawn: Drawn) -> Member:
    entry = drawn.metadata._replace(path=drawn.path, type=EntryType.FILE, size=len(drawn.content))
    return entry, drawn.content


def _symbolic_link(drawn: Drawn) -> Member:
    return drawn.metadata._replace(path=drawn.path, type=EntryType.SYMLINK, target=drawn.link), b""


def _hard_link(drawn: Drawn) -> Member:
    return drawn.metadata._replace(path=drawn.path, type=EntryType.HARD_LINK, target=drawn.other), b""


def _device(drawn: Drawn) -> Member:
    kind = EntryType.CHAR_DEVICE if drawn.content else EntryType.BLOCK_DEVICE
    return drawn.metadata._replace(path=drawn.path, type=kind, device=(1, 3)), b""


def _whiteout(drawn: Drawn) -> Member:
    directory, name = os.path.split(drawn.path)
    return Entry(os.path.join(directory, b".wh." + name), EntryType.FILE), b""


def _opaque_whiteout(drawn: Drawn) -> Member:
    return Entry(os.path.join(os.path.dirname(drawn.path), b".wh..wh..opq"), EntryType.FILE), b""


WEIGHTS: dict[Callable[[Drawn], Member], int] = {
    _plain(EntryType.DIRECTORY): 5,
    _file: 6,
    _symbolic_link: 3,
    _hard_link: 5,
    _whiteout: 3,
    _opaque_whiteout: 1,
    _plain(EntryType.FIFO): 1,
    _device: 1,
}
MAKERS = st.sampled_from([maker for maker, weight in WEIGHTS.items() for _ in range(weight)])
DRAWN = st.builds(
    Drawn,
    PATHS,
    TARGETS,
    st.sampled_from([*NAMES * 2, *PAIRS]),
    st.sampled_from(METADATA),
    st.sampled_from(CONTENTS),
)
MEMBERS = st.builds(lambda make, drawn: make(drawn), MAKERS, DRAWN)
LAYERS = st.lists(st.lists(MEMBERS, min_size=1, max_size=8), min_size=1, max_size=4)


class Applied:
    """Layers without the members that cannot be applied to those before them.

    Attributes:
        layers: what is left of them.
        tree: what they make.
        refused: the layers up to the first such member and with it; None where there was none.
    """

    def __init__(self, drawn: Layers) -> None:
        self.layers: Layers = []
        self.tree = Changesets()
        self.refused: Layers | None = None
        for layer in drawn:
            self.tree.next_layer()
            self.layers.append([])
            alone = Changesets()
            for member in layer:
                self._apply(alone, member)

    def _apply(self, alone: Changesets, member: Member) -> None:
        try:
            _apply_alone(alone, member)
            self.tree.apply(member)
        except UnspecifiedError:
            return
        except RefusedError:
            if self.refused is None:
                *lower, top = self.layers
                self.refused = [*lower, [*top, member]]
            return
        self.layers[-1].append(member)


def _apply_alone(alone: Changesets, member: Member) -> None:
    """Apply a member to what its layer alone makes, as it is unpacked while the others are still on their way.

    What cannot be then is refused, whatever the lower layers have, but for hard links to what may be theirs.
    """
    try:
        alone.apply(member)
    except RefusedError:
        if member[0].type is not EntryType.HARD_LINK:
            raise


def times(tree: Changesets) -> dict[bytes, int]:
    """Return the times of the directories that have one."""
    return {
        path: node.entry.mtime
        for path, node in tree.nodes()
        if node.has_time and node.entry.type is EntryType.DIRECTORY
    }


def check_root(root: str, tree: Changesets) -> None:
    found = tree_of(root, links=True)
    del found[b""]
    assert found == tree.tree()
    expected = times(tree)
    assert {
        path: int(os.lstat(os.path.join(os.fsencode(root), path)).st_mtime) for path in expected
    } == expected


@contextlib.contextmanager
def told(layers: Layers) -> Iterator[None]:
    """Show layers, which hypothesis only shows as they were drawn, with a failure."""
    try:
        yield
    except Exception as error:
        error.add_note("\n--\n".join("\n".join(map(repr, layer)) for layer in layers))
        raise


def through_a_backend(kind: RootfsKind, scratch: Path, drawn: Layers) -> None:
    """Unpack layers and see them as a step does, and as those do who only read."""
    applied = Applied(drawn)
    home, work = scratch / "layers", scratch / "work"
    home.mkdir()
    work.mkdir()
    with told(applied.layers):
        directories = unpacked(applied.layers, home)
        roots = open_snapshotter(kind, str(work), lambda _: None)
        try:
            with roots.view(directories, "view") as root:
                check_root(root, applied.tree)
            with roots.mounted(directories, "step") as snapshot:
                check_root(snapshot.root, applied.tree)
            assert not list(snapshot.changes()), "a step that does nothing has no layer"
        finally:
            roots.close()


def without_a_mount(scratch: Path, drawn: Layers) -> None:
    """Look at the directories of layers, and at outlines of the layers where they have some."""
    applied = Applied(drawn)
    known = dict(applied.tree.nodes())
    home, read = scratch / "layers", scratch / "read"
    home.mkdir()
    read.mkdir()
    with told(applied.layers):
        directories = unpacked(applied.layers, home)
        assert walked(LayerStack(directories[::-1])).keys() == known.keys()
        with contextlib.suppress(UnfitForOutlineError), outlined(applied.layers, read) as outline:
            layers = outline.lowers(()).layers
            found = walked(OutlinedStack(layers, (), lambda _: True, threading.Lock()))
            assert found.keys() == known.keys()
            assert [path for path, node in known.items() if not agrees(found[path], node)] == []


def walked(stack: LayerStack) -> dict[bytes, Found]:
    """Return all that a stack of layers has."""
    found: dict[bytes, Found] = {}
    waiting = [b""]
    while waiting:
        parent = waiting.pop()
        for name, each in (stack.members(parent, 1000) or {}).items():
            path = os.path.join(parent, name)
            found[path] = each
            if stat.S_ISDIR(each.stat.st_mode):
                waiting.append(path)
    return found


def agrees(found: Found, node: Node) -> bool:
    """Say whether what an outline tells of a file is so. Of some it tells only that they are no directories."""
    there, entry = found.stat, node.entry
    if stat.S_ISDIR(there.st_mode) or entry.type is EntryType.DIRECTORY:
        numbers = (there.st_mode, there.st_uid, there.st_gid)
        return numbers == (stat.S_IFDIR | entry.mode, entry.uid, entry.gid)
    if found.where:
        return entry.type is EntryType.SYMLINK and os.readlink(found.where) == entry.target
    if not stat.S_ISREG(there.st_mode):
        return True
    known = (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid, there.st_size, int(there.st_mtime))
    return known == (entry.mode, entry.uid, entry.gid, len(node.content), entry.mtime)


def refused(scratch: Path, drawn: Layers) -> None:
    """Unpack layers, and read their outlines, of which one has a member that cannot be applied."""
    layers = Applied(drawn).refused
    if layers is None:
        return
    home, read = scratch / "layers", scratch / "read"
    home.mkdir()
    read.mkdir()
    with told(layers):
        with pytest.raises(LayerError):
            unpacked(layers, home)
        with pytest.raises((LayerError, UnfitForOutlineError)), outlined(layers, read):
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_layers_make_one_tree(kind):
    @examples
    @given(LAYERS)
    def check(layers: Layers) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            through_a_backend(kind, Path(scratch), layers)

    isolated(check)


@examples
@given(LAYERS)
def test_without_a_mount_it_is_the_same_tree(layers):
    with tempfile.TemporaryDirectory() as scratch:
        without_a_mount(Path(scratch), layers)


@examples
@given(LAYERS)
def test_what_cannot_be_applied_is_refused(layers):
    with tempfile.TemporaryDirectory() as scratch:
        refused(Path(scratch), layers)
