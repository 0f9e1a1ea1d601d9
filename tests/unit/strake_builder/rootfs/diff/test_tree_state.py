"""What a tree looked like is known again, member by member, however large its directories are."""

from __future__ import annotations

import os

from strake_builder.rootfs.diff.tree_state import compare, record_tree


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
