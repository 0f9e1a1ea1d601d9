"""What a tree looked like is known again, member by member, however large its directories are."""

from __future__ import annotations

import os

from strake_builder.rootfs.diff.differences import write_differences
from strake_builder.rootfs.diff.tree_state import await_later_times, compare, record_tree


def test_every_member_is_known_in_order(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(5000):  # more than is written or read at a time
        (tree / f"{number:0240}").touch()
    for name in ("b", "a", "c"):
        (tree / name / name).mkdir(parents=True)
    with record_tree(str(tree), str(tmp_path)) as state:
        record = state.record
        assert [name for name, _ in record.members(state.top)] == sorted(map(os.fsencode, os.listdir(tree)))
        directories = [
            (name, record.children(state.top, member.number))
            for name, member in record.directories(state.top)
        ]
        child = [(name, [n for n, _ in record.members(listed)]) for name, listed in directories]
        assert child == [(b"a", [b"a"]), (b"b", [b"b"]), (b"c", [b"c"])]
        assert record.newest == max(p.lstat().st_ctime_ns for p in tree.rglob("*"))
    assert os.listdir(tmp_path) == ["tree"]


def test_two_states_are_compared_name_by_name(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("gone", "same", "written"):
        (tree / name).touch()
    with record_tree(str(tree), str(tmp_path)) as before:
        (tree / "gone").unlink()
        (tree / "new").touch()
        (tree / "written").write_text("x")
        with record_tree(str(tree), str(tmp_path)) as now:
            assert not before.record.is_same(before.top, now.record, now.top)
            assert before.record.is_same(before.top, before.record, before.top)
            found = {
                name: (was is not None, is_ is not None, was == is_)
                for name, was, is_ in compare(before.record.members(before.top), now.record.members(now.top))
            }
    assert found == {
        b"gone": (True, False, False),
        b"new": (False, True, False),
        b"same": (True, True, True),
        b"written": (True, True, False),
    }


def test_a_rename_to_and_fro_that_is_adopted_is_no_change(tmp_path):
    tree, upper = tmp_path / "tree", tmp_path / "upper"
    for directory in (tree / "a/b", upper):
        directory.mkdir(parents=True)
    for name in ("a/b/adopted", "a/b/renamed", "top"):
        (tree / name).write_text(name)
    state = record_tree(str(tree), str(tmp_path))
    await_later_times(str(tmp_path), state.record.newest)
    for name in ("a/b/adopted", "a/b/renamed", "top"):
        (tree / name).rename(tree / "elsewhere")
        (tree / "elsewhere").rename(tree / name)
    for path in (b"a/b/adopted", b"top", b"a/none", b"none/at/all"):
        state.adopt(str(tree), path)
    write_differences(str(tree), state, str(upper), str(tmp_path)).close()
    state.close()
    assert (upper / "a/b/renamed").exists()
    assert not (upper / "a/b/adopted").exists()
    assert not (upper / "top").exists()
