"""Whatever layers hold: a COPY over their outlines makes the layer that it makes over the layers, or says not."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strake_builder.errors import StepError
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import LayerError
from strake_builder.rootfs.backends.scan import Scan
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_builder.rootfs.layer_outline import LayerOutline, outline_layer
from strake_builder.rootfs.outline import Outline, UnfitForOutlineError, outline_of
from strake_builder.rootfs.outlined_layers import OutlinedLayers
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.rootfs.unpack.archive import unpack_layer
from strake_builder.rootfs.unpack.implicit_parents import read_implicit_parents
from tests.property.test_layers import archive

Layer = list[tuple[Entry, bytes]]

# Few names, so that members meet.
paths = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=3).map(b"/".join)
targets = paths | paths.map(lambda path: b"/" + path) | st.sampled_from([b"..", b"../b", b"a/..", b"b/../c"])
KINDS = [
    *[EntryType.DIRECTORY] * 4,
    *[EntryType.FILE] * 4,
    *[EntryType.SYMLINK] * 2,
    EntryType.HARD_LINK,
    EntryType.FIFO,
]


@st.composite
def members(draw) -> tuple[Entry, bytes]:
    kind, path = draw(st.sampled_from(KINDS)), draw(paths)
    if kind is EntryType.FILE and draw(st.integers(0, 3)) == 0:
        directory, _, name = path.rpartition(b"/")
        path = os.path.join(directory, draw(st.sampled_from([b".wh." + name, b".wh..wh..opq"])))
    content = draw(st.sampled_from([b"", b"1", b"2"])) if kind is EntryType.FILE else b""
    entry = Entry(
        path,
        kind,
        mode=draw(st.sampled_from([0o755, 0o755, 0o700])),
        uid=draw(st.sampled_from([0, 0, 7])),
        size=len(content),
        mtime=1000,
        target=draw(targets) if kind in {EntryType.SYMLINK, EntryType.HARD_LINK} else b"",
    )
    return entry, content


layers = st.lists(st.lists(members(), max_size=6), min_size=1, max_size=3)


def unpacked(layers: Sequence[Layer], home: Path) -> list[str]:
    """Unpack layers as the store does."""
    directories: list[str] = []
    for number, layer in enumerate(layers):
        tar = archive(layer)
        tree, parents_file = home / f"{number}", str(home / f"{number}-parents")
        tree.mkdir(mode=0o755)
        unpack_layer(io.BytesIO(tar), str(tree), lowest=not number, parents_file=parents_file)
        found = read_implicit_parents(parents_file) if number else None
        if found is not None and found.matter(directories[::-1]):
            tree = home / f"{number}-over"
            tree.mkdir(mode=0o755)
            unpack_layer(io.BytesIO(tar), str(tree), lowest=False, lowers=directories[::-1])
        directories.append(str(tree))
    return directories


@contextlib.contextmanager
def outlined(layers: Sequence[Layer], home: Path) -> Iterator[OutlinedLayers]:
    """Read the outlines of layers, and stack them."""
    with contextlib.ExitStack() as scope:
        made, parents_files = list[LayerOutline](), [str(home / f"{n}-parents") for n in range(len(layers))]
        for number, layer in enumerate(layers):
            tree = home / f"{number}"
            tree.mkdir(mode=0o755)
            outline = outline_layer(
                io.BytesIO(archive(layer)),
                str(tree),
                lowest=not number,
                parents_file=parents_files[number],
                scratch=str(home),
                limit=MAX_UNPACKED,
            )
            scope.callback(outline.close)
            made.append(outline)
        stack = OutlinedLayers.stack(made, parents_files, str(home), threading.Lock())
        yield scope.enter_context(contextlib.closing(stack))


def directory(parent: str, name: str) -> Path:
    made = Path(parent, name)
    made.mkdir()
    return made


def layer_of(lowers: Sequence[str], home: Path, source: str, to: bytes) -> tuple[bytes, str]:
    """Copy a directory, and return the layer and where it lies."""
    roots = Scan(str(directory(str(home), "roots")))
    try:
        with (
            roots.mounted(lowers, "step") as snapshot,
            Root(source) as origin,
            Root(snapshot.root) as target,
        ):
            target.make_directories(b"/c/c", NewDirectory(0o755))
            copy_path(origin, b"/", target, to, CopyOptions((0, 0), mtime_ns=10**12))
        return b"".join(tar_stream(snapshot.changes(lambda _: 0))), snapshot.upper
    finally:
        roots.close()


def over_outlines(base: Sequence[Layer], home: Path, source: str, to: bytes) -> bytes | LayerError | None:
    """Return the layer of a copy over outlines; None where only the layers themselves tell."""
    try:
        with outlined(base, directory(str(home), "outlines")) as outline:
            made, upper = layer_of(outline.directories, directory(str(home), "over"), source, to)
            return made if outline.suffices(upper) else None
    except LayerError as error:
        return error
    except (UnfitForOutlineError, StepError):
        return None


@settings(max_examples=300, deadline=None)
@given(layers, layers, paths | st.just(b""), st.booleans())
def test_over_outlines_it_makes_the_same_layer(base, sources, destination, slash):
    with tempfile.TemporaryDirectory() as scratch:
        source = directory(scratch, "source")
        with contextlib.suppress(LayerError):
            unpack_layer(io.BytesIO(archive(sources[0])), str(source), lowest=True)
        to = b"/" + destination + (b"/" if slash else b"")
        made = over_outlines(base, directory(scratch, "read"), str(source), to)
        if isinstance(made, LayerError):
            with pytest.raises(LayerError):  # which of several faults is met first is not the same
                unpacked(base, directory(scratch, "layers"))
        elif made is not None:
            lowers = unpacked(base, directory(scratch, "layers"))
            expected, _ = layer_of(lowers, directory(scratch, "unpacked"), str(source), to)
            assert made == expected


def over_kept_outline(base: Sequence[Layer], home: Path, sources: Sequence[str], to: bytes) -> bytes | None:
    """Return the layer of a second copy, over the outline that a cache keeps of the first; None where it tells less.

    The first is over outlines of layers that were only read.
    """
    try:
        with outlined(base, directory(str(home), "outlines")) as outline:
            _, upper = layer_of(outline.directories, directory(str(home), "first"), sources[0], to)
            if not outline.suffices(upper):
                return None
            lowers = outline.lowers(()).lowest(len(base), upper, to)
            kept = b"".join(tar_stream(outline_of(lowers, upper, to, accounts=False)))
        made = Outline.unpack(io.BytesIO(kept), str(directory(str(home), "kept")))
        second, upper = layer_of(made.directories, directory(str(home), "second"), sources[1], to)
        return second if made.suffices(upper) else None
    except (LayerError, UnfitForOutlineError, StepError):
        return None


@settings(max_examples=300, deadline=None)
@given(layers, st.tuples(layers, layers), paths | st.just(b""), st.booleans())
def test_what_a_cache_keeps_of_outlines_makes_the_same_layer_later(base, sources, destination, slash):
    with tempfile.TemporaryDirectory() as scratch:
        made = [str(directory(scratch, f"source-{number}")) for number in range(2)]
        for source, content in zip(made, sources, strict=True):
            with contextlib.suppress(LayerError):
                unpack_layer(io.BytesIO(archive(content[0])), source, lowest=True)
        to = b"/" + destination + (b"/" if slash else b"")
        found = over_kept_outline(base, directory(scratch, "read"), made, to)
        if found is not None:
            lowers = unpacked(base, directory(scratch, "layers"))
            assert found == layer_of(lowers, directory(scratch, "unpacked"), made[1], to)[0]


def entry(path: bytes, kind: EntryType = EntryType.FILE, **fields) -> tuple[Entry, bytes]:
    content = fields.pop("content", b"")
    return Entry(path, kind, size=len(content), mtime=1000, **fields), content


def test_files_are_left_out_but_for_those_of_users_and_groups(tmp_path):
    lower = [
        entry(b"etc", EntryType.DIRECTORY, mode=0o755),
        entry(b"etc/passwd", content=b"app:x:1:1::/:/bin/sh"),
        entry(b"etc/shadow", content=b"secret"),
        entry(b"lib", EntryType.SYMLINK, target=b"usr/lib"),
    ]
    with outlined([lower, [entry(b"usr/lib/file"), entry(b"etc/.wh.shadow")]], tmp_path) as outline:
        assert outline.has_accounts
        made = [sorted(str(p.relative_to(d)) for p in Path(d).rglob("*")) for d in outline.directories]
    assert made == [["etc", "etc/passwd", "lib"], ["etc", "etc/shadow", "usr", "usr/lib"]]


@pytest.mark.parametrize(
    "lower",
    [
        [entry(b"etc", EntryType.SYMLINK, target=b"/usr/etc")],
        [entry(b"etc/passwd", EntryType.SYMLINK, target=b"/usr/passwd")],
        [entry(b"f"), entry(b"etc/group", EntryType.HARD_LINK, target=b"f")],
    ],
)
def test_users_that_are_kept_elsewhere_are_not_looked_up_in_an_outline(tmp_path, lower):
    with outlined([lower], tmp_path) as outline:
        assert not outline.has_accounts


def test_a_file_that_could_be_the_lower_layers_is_in_doubt(tmp_path):
    with outlined([[entry(b"d", EntryType.DIRECTORY), entry(b"d/f", content=b"12")]], tmp_path) as outline:
        written = tmp_path / "upper/d/f"
        written.parent.mkdir(parents=True)
        written.write_text("ab")
        os.chmod(written, 0o644)
        os.utime(written, (1000, 1000))
        assert not outline.suffices(str(tmp_path / "upper"))
        os.utime(written, (1001, 1001))
        assert outline.suffices(str(tmp_path / "upper"))
        written.unlink()
        written.mkdir()
        assert not outline.suffices(str(tmp_path / "upper"))


@pytest.mark.parametrize(
    "layers",
    [
        [[entry(b"d", EntryType.DIRECTORY)], [entry(b"d")]],
        [[entry(b"l", EntryType.SYMLINK, target=b"/d")], [entry(b".wh.l"), entry(b"l")]],
        [[entry(b"l", EntryType.SYMLINK, target=b"/d")], [entry(b"l/f")]],
        [[entry(b"d", EntryType.DIRECTORY, mode=0o700)], [entry(b"d/f")]],
        [[entry(b"d")], [entry(b"d/f")]],
        [[entry(b"f")], [entry(b"g", EntryType.HARD_LINK, target=b"f")]],
        [[entry(b"d/f"), entry(b"d")]],
        [[entry(b"d")], [entry(b"d"), entry(b"d", EntryType.DIRECTORY)]],
        [[entry(b"f")], [entry(b"d/.wh.f")]],
        [[entry(b"f"), entry(b"f/g")]],
        [
            [
                entry(b"d/f"),
                entry(b"a/b/l", EntryType.SYMLINK, target=b"/d"),
                entry(b"g", EntryType.HARD_LINK, target=b"a/b/l/f"),
            ]
        ],
    ],
)
def test_layers_that_files_make_a_difference_to_have_no_outline(tmp_path, layers):
    with pytest.raises(UnfitForOutlineError), outlined(layers, tmp_path):
        pass
