"""Directories that stay open between members lead where their paths lead, whatever a member replaces."""

import os

import pytest

from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.unpack.archive import unpack_archive
from tests.fixtures.content.tar_members import DIR, SYM, member
from tests.unit.strake_builder.rootfs.unpack.test_archive import archive, layer, unpack

__all__ = ["layer"]


def test_a_parent_that_is_replaced_in_between_is_resolved_anew(layer):
    unpack(
        layer,
        member("d/one", b"1"),
        member("d", type=SYM, linkname="elsewhere"),
        member("d/two", b"2"),
        member("d", type=DIR),
        member("d/three", b"3"),
    )
    assert (layer / "elsewhere/two").read_bytes() == b"2"
    assert [p.name for p in (layer / "d").iterdir()] == ["three"]


def test_a_directory_further_up_that_is_replaced_is_resolved_anew(layer):
    unpack(
        layer,
        member("d/e/f/one", b"1"),
        member("d/e/two", b"2"),
        member("d/e", type=SYM, linkname="../other"),
        member("d/e/f/three", b"3"),
        member("d/e/f", type=SYM, linkname="/etc"),
        member("d/e/f/four", b"4"),
    )
    assert sorted(p.relative_to(layer).as_posix() for p in layer.rglob("*") if p.is_file()) == ["etc/four"]
    assert os.readlink(layer / "other/f") == "/etc"


@pytest.mark.parametrize("name", ["a/../b/one", "b//one", "a/./../b/one"])
def test_a_parent_may_be_spelled_in_several_ways(layer, name):
    unpack(layer, member("a", type=DIR), member("b", type=DIR), member("b/zero", b"0"))
    with Root(str(layer)) as root:
        unpack_archive(archive(member("a/first", b"1"), member(name, b"2")), root)
    assert sorted(os.listdir(layer / "b")) == ["one", "zero"]


def test_more_directories_than_are_kept_open(layer):
    names = [f"{a}/{b}" for a in range(9) for b in range(9)]
    unpack(layer, *(member(f"{name}/{n}", name.encode()) for n in range(2) for name in names))
    assert all((layer / name / n).read_text() == name for name in names for n in "01")
