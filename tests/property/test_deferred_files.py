"""Whatever is copied over whatever: with files deferred, a step makes the layer that it makes by writing them."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strake_builder.errors import StepError
from strake_builder.layers.entry import WHITEOUT_PREFIX, Entry, EntryType
from strake_builder.rootfs.backends.selection import RootfsKind, open_snapshotter
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles, member_order
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.change import NO_CONTENT
from strake_builder.rootfs.diff.changes import overlay_changes
from strake_builder.rootfs.files.inside import Root
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import KINDS

Members = list[tuple[Entry, bytes]]
Copy = tuple[bytes, bool]
"""Destination, and whether a slash is after it."""
Made = tuple[bytes, str, bytes, tuple[int, int]]
"""Path, kind, content or target, and owner of what is in a tree."""

PATHS = st.lists(st.sampled_from([b"a", b"b", b"a-"]), min_size=1, max_size=3).map(b"/".join)
_LEFT_OUT = frozenset({b"a/b", b"b"})
_NAMES = st.sampled_from([b"a", b"b", b"a-", b"a\x01", b"\xff"])


def directory(parent: str, name: str) -> Path:
    made = Path(parent, name)
    made.mkdir()
    return made


def changed(kind: RootfsKind, home: Path, lowers: list[str], copies: list[tuple[str, Copy]], owner, *, defer):
    """Copy directories one after the other in one step; return its members, or None where it fails."""
    roots = open_snapshotter(kind, str(directory(str(home), "roots")), lambda _: None)
    deferred = DeferredFiles(str(home)) if defer else None
    options = CopyOptions(owner, deferred=deferred)
    try:
        with roots.mounted(lowers, "step") as snapshot, Root(snapshot.root) as target:
            source = directory(str(home), "sources")
            for number, (tree, (destination, slash)) in enumerate(copies):
                os.rename(tree, source / str(number))
                with Root(str(source)) as origin:
                    to = b"/" + destination + (b"/" if slash else b"")
                    copy_path(origin, b"%d" % number, target, to, options)
        for left_out in (frozenset[bytes](), _LEFT_OUT):
            yield _members(snapshot.upper, snapshot.lowers, left_out, deferred)
    except StepError:
        yield None
    finally:
        roots.close()
        if deferred is not None:
            deferred.close()


def _members(
    upper: str, lowers: tuple[str, ...], left_out: frozenset[bytes], deferred: DeferredFiles | None
) -> Members:
    found = []
    for entry, fd in overlay_changes(upper, lowers, left_out=left_out, deferred=deferred):
        is_file = entry.type is EntryType.FILE and not entry.name.startswith(WHITEOUT_PREFIX)
        content = os.pread(fd, entry.size, 0) if fd != NO_CONTENT else b""
        # When a directory changed that the step wrote into is when it ran.
        found.append((entry if is_file else entry._replace(mtime=0), content))
    return found


def make(tree: Path, content: list[Made]) -> Path:
    """Make a tree; what cannot be made, since something else is there, is left out."""
    for path, kind, text, owner in content:
        where = os.path.join(os.fsencode(tree), path)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(where), exist_ok=True)
            _make(kind, where, text)
            os.chown(where, *owner, follow_symlinks=False)
            os.utime(where, (1000, 1000), follow_symlinks=False)
    return tree


def _make(kind: str, where: bytes, text: bytes) -> None:
    match kind:
        case "directory":
            os.mkdir(where)
        case "link":
            os.symlink(b"/" + text, where)
        case "pipe":
            os.mkfifo(where)
        case "whiteout":
            os.mknod(where, stat.S_IFCHR, 0)
        case _:
            with open(where, "xb") as file:
                file.write(text)
            if kind == "attribute":
                os.setxattr(where, "user.strake", text)
            elif kind == "two names":
                os.link(where, where + b"2")


def both(kind: RootfsKind, base: list[list[Made]], sources: list[list[Made]], to: Copy, owner) -> int:
    """Copy with and without deferred files, and compare; return how many members the layer has."""
    with tempfile.TemporaryDirectory() as scratch:
        lowers = [
            str(make(directory(scratch, f"{number}"), [m for m in layer if number or m[1] != "whiteout"]))
            for number, layer in enumerate(base)
        ]
        results = []
        for defer in (False, True):
            home = directory(scratch, f"defer-{defer}")
            copies = [
                (str(make(directory(str(home), f"source-{number}"), content)), to)
                for number, content in enumerate(sources)
            ]
            results.append(list(changed(kind, home, lowers, copies, owner, defer=defer)))
        assert results[1] == results[0]
        return len(results[0][0] or ())


def made(*kinds: str) -> st.SearchStrategy[list[Made]]:
    texts = st.sampled_from([b"", b"a", b"b", b"a/b"])
    owners = st.sampled_from([(0, 0), (0, 0), (5, 6)])
    return st.lists(st.tuples(PATHS, st.sampled_from(kinds), texts, owners), min_size=1, max_size=8)


FILES = ("file", "file", "file", "directory", "link", "pipe", "attribute", "two names")


@pytest.mark.parametrize("kind", KINDS)
def test_deferred_files_make_the_same_layer(kind):
    found = Counter[bool]()

    @settings(max_examples=200, deadline=None, database=None)
    @given(
        st.lists(made(*FILES, "directory", "whiteout"), min_size=1, max_size=2),
        st.lists(made(*FILES), min_size=1, max_size=2),
        st.tuples(PATHS | st.just(b""), st.booleans()),
        st.sampled_from([None, (0, 0), (5, 6)]),
    )
    def check(base, sources, to, owner):
        found[both(kind, base, sources, to, owner) > 1] += 1

    def work() -> Counter[bool]:
        check()
        return found

    assert isolated(work)[True] > 20, "layers with something in them are compared"


@given(st.lists(st.lists(_NAMES, min_size=1, max_size=3).map(b"/".join), max_size=30), st.randoms())
def test_the_latest_of_a_path_is_read_in_the_order_of_a_layer(paths, random):
    with tempfile.TemporaryDirectory() as scratch, contextlib.closing(DeferredFiles(scratch)) as files:
        random.shuffle(paths)
        latest = {}
        for number, path in enumerate(paths):
            file = DeferredFile(path, b"source", 0o644, 0, 0, number, -number)
            assert files.add(file, replaces=False)
            latest[path] = file
        expected = sorted(latest.values(), key=lambda file: file.path.split(b"/"))
        assert list(files) == list(files) == expected
        assert [member_order(file.path) for file in files] == sorted(
            member_order(file.path) for file in files
        )
