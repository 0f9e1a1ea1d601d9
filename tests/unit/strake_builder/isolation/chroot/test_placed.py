from __future__ import annotations

import os
import shutil
import socket
import stat

import pytest

from strake_builder.errors import UnsupportedError
from strake_builder.isolation.chroot.placed import placed
from strake_builder.isolation.chroot.renamed import Renamed
from strake_builder.sandbox.process import Bind, Tmpfs


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    (made / "etc").mkdir(parents=True)
    (made / "target").mkdir()
    (made / "target/old").write_text("the image's")
    (made / "etc/hosts").write_text("the image's")
    return made


@pytest.fixture
def source(tmp_path):
    made = tmp_path / "source"
    made.mkdir()
    (made / "file").write_text("the source's")
    return made


def state(root):
    return {str(p): (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in (root, *root.rglob("*"))}


@pytest.mark.parametrize("read_only", [True, False])
def test_the_image_is_afterwards_what_it_was(root, source, read_only):
    before = state(root)
    renamed = Renamed()
    with placed([Bind(str(source), "/target", read_only)], str(root), renamed, shares_root=True):
        assert (root / "target/file").read_text() == "the source's"
        assert not (root / "target/old").exists()
    assert state(root) == before
    assert renamed.untouched() == [b"target"]
    assert (source / "file").read_text() == "the source's"


def test_what_is_written_to_a_cache_stays_in_it(root, source):
    with placed([Bind(str(source), "/target", read_only=False)], str(root), Renamed(), shares_root=True):
        (root / "target/new").write_text("kept")
    assert (source / "new").read_text() == "kept"


def test_a_cache_that_the_step_removes_is_empty(root, source):
    with placed([Bind(str(source), "/target", read_only=False)], str(root), Renamed(), shares_root=True):
        (root / "target/file").unlink()
        (root / "target").rmdir()
    assert os.listdir(source) == []
    assert (root / "target/old").exists()


def test_a_directory_that_the_step_removes_with_a_cache_in_it(root, source):
    """`rm -rf /root/.cache` with a cache at /root/.cache/pip: the cache is empty and as it was, the directory gone."""
    source.chmod(0o2770)
    renamed = Renamed()
    with placed([Bind(str(source), "/target/sub/c", read_only=False)], str(root), renamed, shares_root=True):
        shutil.rmtree(root / "target")
    assert os.listdir(source) == []
    assert stat.S_IMODE(source.stat().st_mode) == 0o2770
    assert os.listdir(root) == ["etc"]


def test_a_mount_over_what_the_step_removes_with_its_directory(root, source):
    renamed = Renamed()
    with placed([Bind(str(source), "/target/old")], str(root), renamed, shares_root=True):
        shutil.rmtree(root / "target")
    assert os.listdir(root) == ["etc"]
    assert renamed.untouched() == []
    assert renamed.touched() == {b"target/old"}


def test_a_cache_that_a_step_has_is_there_for_others_that_get_ready(root, source):
    """They run later, but must not take it for one that is still to be made."""
    source.chmod(0o2770)
    with placed([Bind(str(source), "/target", read_only=False)], str(root), Renamed(), shares_root=True):
        assert os.listdir(source) == []
        assert stat.S_IMODE(source.stat().st_mode) == 0o2770
        (root / "target/new").write_text("kept")
    assert sorted(os.listdir(source)) == ["file", "new"]


def test_a_cache_at_two_targets_is_one(root, source):
    mounts = [Bind(str(source), target, read_only=False) for target in ("/target", "/other")]
    before = state(root)
    with placed(mounts, str(root), Renamed(), shares_root=True):
        (root / "target/new").write_text("seen")
        assert os.readlink(root / "other") == "/target"
    assert (source / "new").read_text() == "seen"
    assert state(root) == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_bind_is_as_its_source(root, source, read_only):
    os.chown(source, 5, 6)
    source.chmod(0o3751)
    os.utime(source, ns=(1, 2))
    with placed([Bind(str(source), "/target", read_only)], str(root), Renamed(), shares_root=True):
        found = (root / "target").stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (5, 6, 0o3751)
        assert found.st_mtime_ns == 2


def test_what_is_written_to_a_read_only_bind_is_lost(root, source):
    with placed([Bind(str(source), "/target")], str(root), Renamed(), shares_root=True):
        (root / "target/file").write_text("changed")
    assert (source / "file").read_text() == "the source's"


def test_a_mount_inside_a_mount(root, source, tmp_path):
    inner = tmp_path / "inner"
    inner.write_text("inner")
    mounts = [Bind(str(source), "/target"), Bind(str(inner), "/target/deep/er", is_file=True)]
    before = state(root)
    with placed(mounts, str(root), Renamed(), shares_root=True):
        assert (root / "target/deep/er").read_text() == "inner"
    assert state(root) == before


def test_an_empty_file_system_is_empty_and_open_to_everybody(root):
    with placed([Tmpfs("/target")], str(root), Renamed(), shares_root=True):
        assert os.listdir(root / "target") == []
        assert stat.S_IMODE((root / "target").stat().st_mode) == 0o1777
        (root / "target/new").touch()
    assert os.listdir(root / "target") == ["old"]


def test_a_socket_is_linked_and_refused_where_no_link_leads(root, tmp_path):
    path = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        mounts = [Bind(str(path), "/run/agent", read_only=False, is_file=True)]
        with placed(mounts, str(root), Renamed(), shares_root=True):
            assert os.readlink(root / "run/agent") == str(path)
        assert not (root / "run/agent").is_symlink()
        with (
            pytest.raises(UnsupportedError, match="the mount at /run/agent"),
            placed(mounts, str(root), Renamed(), shares_root=False),
        ):
            pytest.fail("it was placed")


def test_a_link_in_the_image_leads_nowhere_outside(root, source, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "way").symlink_to(outside)
    with placed([Bind(str(source), "/way/in")], str(root), Renamed(), shares_root=True):
        assert os.listdir(outside) == []
