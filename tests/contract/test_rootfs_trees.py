"""What a step does to whole trees, by every backend: sparse files, renames, many and repeated layers."""

from __future__ import annotations

import io
import os
import shutil
import stat

import pytest

from strake_builder.rootfs.backends.selection import open_snapshotter
from strake_builder.rootfs.unpack.archive import unpack_layer
from tests.contract.test_rootfs_backends import write
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.hostile_images import layer
from tests.fixtures.content.snapshots import KINDS, make_layer, names
from tests.fixtures.content.tar_members import DIR, member


def test_a_sparse_file_stays_small_on_disk(step, tmp_path):
    base = make_layer(tmp_path / "base", f="1")
    size, used = 64 << 20, []

    def act(root):
        with open(f"{root}/sparse", "wb") as file:
            file.write(b"start")
            file.seek(size - 3)
            file.write(b"end")

    [member] = step([base], act)
    assert member.name == "sparse"
    for path in (tmp_path / "work/step").rglob("sparse"):
        found = path.stat()
        assert found.st_size == size
        used.append(found.st_blocks * 512)
    assert max(used) < 1 << 20


def test_a_renamed_directory(step, tmp_path):
    base = make_layer(tmp_path / "base", d__sub__f="1", d__g="2", other="3")

    def act(root):
        shutil.move(f"{root}/d", f"{root}/moved")

    seen = names(step([base], act))
    assert seen == [".wh.d", "moved", "moved/g", "moved/sub", "moved/sub/f"]


def test_directories_that_change_places(step, tmp_path):
    base = make_layer(tmp_path / "base", a__x="1", a__only_a="1", b__x="2", b__only_b="2")

    def act(root):
        shutil.move(f"{root}/a", f"{root}/t")
        shutil.move(f"{root}/b", f"{root}/a")
        shutil.move(f"{root}/t", f"{root}/b")

    assert {"a/x", "a/only_b", "b/x", "b/only_a"} <= set(names(step([base], act)))


def test_comparison_looks_through_all_layers(step, tmp_path):
    low = make_layer(tmp_path / "low", d__f="1", d__g="1")
    high = make_layer(tmp_path / "high", other="x")

    def act(root):
        os.chown(f"{root}/d/f", 0, 0)
        write(f"{root}/d/g", "2")

    assert names(step([low, high], act)) == ["d", "d/g"]


def test_the_mode_of_the_root_is_kept(step, tmp_path):
    base = make_layer(tmp_path / "base", f="1")
    base.chmod(0o750)
    os.chown(base, 5, 6)

    def act(root):
        found = os.stat(root)
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o750, 5, 6)

    assert step([base], act) == []


def applied_in_order(layers):
    """Return what layers (paths to contents, None for a removal) leave when one follows the other."""
    tree: dict[str, str] = {}
    for name, content in (item for contents in layers for item in contents.items()):
        for path in [p for p in tree if f"{p}/".startswith(f"{name}/") or name.startswith(f"{p}/")]:
            del tree[path]
        if content is not None:
            tree[name] = content
    return tree


REPEATED = [
    {"x": "a", "d/f": "a"},
    {"x": None, "d/f": "b", "d/g": "b"},
    {"d": None},
    {},
    {"d": "file", "e": "c"},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "order",
    [
        [0, 0],
        [0, 1, 0],
        [0, 1, 1, 0, 0],
        [3, 3, 0, 3],
        [3, 3],
        [0, 2, 0],
        [0, 2, 1, 2],
        [0, 4, 0],
        [4, 0, 4, 1, 4],
    ],
)
def test_a_layer_that_is_listed_again_applies_again(kind, order, tmp_path):
    directories = [tmp_path / str(number) for number in range(len(REPEATED))]
    for directory, content in zip(directories, REPEATED, strict=True):
        directory.mkdir(0o755)
        unpack_layer(io.BytesIO(layer(*members_of(content))), str(directory), lowest=False)
    work = tmp_path / "work"
    work.mkdir()

    def look():
        roots = open_snapshotter(kind, str(work), lambda _: None)
        try:
            layers = tuple(str(directories[number]) for number in order)
            with roots.view(layers, "view") as root:
                seen = files_of(root)
            with roots.mounted(layers, "step") as snapshot:
                assert files_of(snapshot.root) == seen
                write(f"{snapshot.root}/new")
            assert [entry.path for entry, _ in snapshot.changes()] == [b"new"]
            return seen
        finally:
            roots.close()

    assert isolated(look) == applied_in_order([REPEATED[number] for number in order])


def members_of(content):
    for name, text in content.items():
        parent, _, last = name.rpartition("/")
        if parent:
            yield member(parent, type=DIR, mode=0o755)
        if text is None:
            yield member(f"{parent}/.wh.{last}".lstrip("/"))
        else:
            yield member(name, text.encode())


def files_of(root):
    found = {}
    for directory, _, names_here in os.walk(root):
        for name in names_here:
            path = os.path.join(directory, name)
            if not stat.S_ISCHR(os.lstat(path).st_mode):
                with open(path) as file:
                    found[os.path.relpath(path, root)] = file.read()
    return found


def test_a_directory_that_is_made_anew_as_it_was(step, tmp_path):
    """It hides what was there, so the layer has all that is in it, the same or not."""
    base = make_layer(tmp_path / "base", d__f="1", d__sub__g="2", d__sub__deep__h="3", d__gone="4", other="5")

    def act(root):
        shutil.copytree(f"{root}/d", f"{root}/copy", symlinks=True)
        shutil.rmtree(f"{root}/d")
        shutil.copytree(f"{root}/copy", f"{root}/d", symlinks=True)
        shutil.rmtree(f"{root}/copy")
        os.unlink(f"{root}/d/gone")

    assert "other" not in names(step([base], act))


def test_an_empty_directory_that_is_made_anew(step, tmp_path):
    base = make_layer(tmp_path / "base", lists__partial__x="1", lists__y="2")

    def act(root):
        shutil.rmtree(f"{root}/lists")
        os.makedirs(f"{root}/lists/partial")
        for path in ("lists", "lists/partial"):
            os.chmod(f"{root}/{path}", (base / path).stat().st_mode)

    assert "lists/partial" in names(step([base], act))


def test_a_directory_in_place_of_another_that_was_moved(step, tmp_path):
    base = make_layer(tmp_path / "base", d__f="1", d__sub__g="2", new__sub__g="2", new__f="1")
    for path in base.rglob("*"):
        os.utime(path, (1000, 1000))

    def act(root):
        shutil.rmtree(f"{root}/d")
        shutil.move(f"{root}/new", f"{root}/d")

    assert ".wh.new" in names(step([base], act))
