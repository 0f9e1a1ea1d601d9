"""What a mount needs is there during a step and gone after it."""

import os

import pytest

from strake_builder.rootfs.errors import ParentNotDirectoryError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.mounts.mountpoints import MountPoint, mount_points


@pytest.fixture
def root(tmp_path):
    with Root(tmp_path) as opened:
        yield opened


def everything(root: Root) -> set[str]:
    return {os.path.join(top, name) for top, dirs, files in os.walk(root.path) for name in dirs + files}


def test_points_and_their_parents_come_and_go(root):
    points = [MountPoint(b"/a/b/dir", True), MountPoint(b"/etc/file", False), MountPoint(b"/top", False)]
    with mount_points(root, points):
        assert os.path.isdir(os.path.join(root.path, "a/b/dir"))
        assert os.path.isfile(os.path.join(root.path, "etc/file"))
    assert everything(root) == set()


def test_a_directory_made_for_several_points_goes_with_the_last(root):
    with mount_points(root, [MountPoint(b"/etc/hosts", False), MountPoint(b"/etc/resolv.conf", False)]):
        assert os.path.isfile(os.path.join(root.path, "etc/resolv.conf"))
    assert everything(root) == set()


@pytest.mark.parametrize("target", ["elsewhere", "/", "../../..", "missing"])
def test_a_point_that_must_be_no_link_is_refused_as_one(root, tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dev").symlink_to(target)
    with (
        pytest.raises(ParentNotDirectoryError, match="/dev is a link"),
        mount_points(root, [MountPoint(b"/dev", True, False)]),
    ):
        pass
    assert everything(root) == {str(tmp_path / "elsewhere"), str(tmp_path / "dev")}


def test_what_was_there_stays_and_keeps_its_times(root, tmp_path):
    (tmp_path / "etc").mkdir()
    os.utime(tmp_path / "etc", (1000, 1000))
    with mount_points(root, [MountPoint(b"/etc/hosts", False), MountPoint(b"/etc", True)]):
        pass
    assert (tmp_path / "etc").stat().st_mtime == 1000


def test_what_the_step_filled_stays(root, tmp_path):
    with mount_points(root, [MountPoint(b"/d/x", True), MountPoint(b"/f", False)]):
        (tmp_path / "d/kept").write_text("k")
        (tmp_path / "f").write_text("written")
    assert (tmp_path / "d/kept").read_text() == "k"
    assert not (tmp_path / "d/x").exists()
    assert (tmp_path / "f").read_text() == "written"


def test_a_dangling_link_is_followed_inside(root, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").symlink_to("/run/systemd/resolv.conf")
    with mount_points(root, [MountPoint(b"/etc/resolv.conf", False)]):
        assert (tmp_path / "run/systemd/resolv.conf").is_file()
    assert not (tmp_path / "run").exists()
    assert (tmp_path / "etc/resolv.conf").is_symlink()


def test_a_point_inside_another_is_left_to_the_runtime(root):
    with mount_points(root, [MountPoint(b"/dev", True), MountPoint(b"/dev/pipes", True)]):
        assert not os.path.exists(os.path.join(root.path, "dev/pipes"))
