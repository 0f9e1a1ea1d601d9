"""A digest of what COPY would copy: it changes when the copy would, and only then."""

from __future__ import annotations

import os

import pytest

from strake_builder.rootfs.copying.content_digest import FileDigests, content_digest
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.remove import remove_tree


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "d/sub").mkdir(parents=True)
    (root / "d/f").write_text("content")
    (root / "d/sub/g").write_text("more")
    (root / "d/link").symlink_to("f")
    return root


def digest(root, path=b"/d", options=None) -> bytes | None:
    with Root(root) as opened:
        return content_digest(opened, path, options or CopyOptions(), FileDigests(str(root.parent)))


CHANGES = {
    "content": lambda root: (root / "d/f").write_text("CONTENT"),
    "name": lambda root: (root / "d/f").rename(root / "d/h"),
    "mode": lambda root: (root / "d/f").chmod(0o755),
    "mode of a directory": lambda root: (root / "d/sub").chmod(0o700),
    "owner": lambda root: os.chown(root / "d/f", 5, 6),
    "target": lambda root: ((root / "d/link").unlink(), (root / "d/link").symlink_to("sub")),
    "type": lambda root: ((root / "d/link").unlink(), (root / "d/link").write_text("f")),
    "empty directory": lambda root: (root / "d/empty").mkdir(),
    "removal": lambda root: (root / "d/sub/g").unlink(),
    "attribute": lambda root: os.setxattr(root / "d/f", "user.note", b"1"),
    "hard link": lambda root: os.link(root / "d/f", root / "d/z"),
    "fifo": lambda root: os.mkfifo(root / "d/pipe"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_copy_shows_counts(tree, change):
    before = digest(tree)
    change(tree)
    assert digest(tree) != before


def test_a_hard_link_is_not_a_copy(tree):
    (tree / "d/z").write_text("content")
    as_copy = digest(tree)
    (tree / "d/z").unlink()
    os.link(tree / "d/f", tree / "d/z")
    assert digest(tree) != as_copy


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "d/f", (1, 1)),
        lambda root: os.utime(root / "d", (1, 1)),
        lambda root: (root / "beside").write_text("x"),
        lambda root: (root / "d").chmod(0o700),
    ],
    ids=["time", "time of the directory", "beside", "mode of the copied directory itself"],
)
def test_what_a_copy_does_not_show_does_not_count(tree, change):
    before = digest(tree)
    change(tree)
    assert digest(tree) == before


def test_owners_do_not_count_where_the_step_gives_one(tree):
    options = CopyOptions(owner=(0, 0))
    before = digest(tree, options=options)
    os.chown(tree / "d/f", 5, 6)
    assert digest(tree, options=options) == before


def test_what_is_filtered_does_not_count(tree):
    options = CopyOptions(keep=lambda path, _: not path.startswith(b"sub"))
    before = digest(tree, options=options)
    (tree / "d/sub/g").write_text("changed")
    (tree / "d/sub").chmod(0o700)
    assert digest(tree, options=options) == before


def test_a_directory_counts_that_leads_to_something_that_is_kept(tree):
    options = CopyOptions(keep=lambda path, _: path == b"sub/g", enter=lambda path, _: True)
    before = digest(tree, options=options)
    (tree / "d/sub").chmod(0o700)
    assert digest(tree, options=options) != before


def test_a_file_and_a_directory_with_it_differ(tree):
    assert digest(tree, b"/d/sub") != digest(tree, b"/d/sub/g")


def test_the_copied_file_counts_without_its_own_name(tree):
    (tree / "other").write_text("content")
    assert digest(tree, b"/other") == digest(tree, b"/d/f")


def test_links_lead_inside_the_root_only(tree, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tree / "out").symlink_to("../secret")
    assert digest(tree, b"/out") is None
    assert digest(tree, b"/none") is None


def test_a_deep_tree_needs_no_deep_stack(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert digest(root, b"/") is not None
    remove_tree(str(root))  # pytest's own way of removing it needs a deep stack
