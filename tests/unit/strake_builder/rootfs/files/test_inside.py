"""Paths end inside the root, whatever the root's content says."""

import os
import stat

import pytest

from strake_builder.rootfs.errors import NotInRootError, ParentNotDirectoryError, PathError, TooManyLinksError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory


@pytest.fixture
def root(tmp_path):
    """A root with a secret next to it that no path may reach."""
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "secrets").mkdir()
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / "etc").mkdir()
    (inside / "etc/passwd").write_text("inside")
    with Root(inside) as opened:
        yield opened


def make_link(root: Root, name: str, target: str) -> None:
    os.symlink(target, os.path.join(root.path, name))


@pytest.mark.parametrize(
    "path",
    [b"../secret", b"/../../secret", b"etc/../../secret", b"/etc/../../../../../secret", b"./.././../secret"],
)
def test_climbing_ends_at_the_root(root, path):
    with root.at(path) as location:
        assert location.stat is None
        assert location.path == b"secret"


@pytest.mark.parametrize(
    "target", ["/etc", "../../../../etc", "/../etc", "etc/.", "./etc", "other", "//etc//"]
)
def test_links_are_followed_inside(root, target):
    make_link(root, "ln", target)
    make_link(root, "other", "/etc")
    assert root.read_file(b"/ln/passwd", 100) == b"inside"
    assert root.resolve(b"ln/passwd") == b"etc/passwd"


@pytest.mark.parametrize("target", ["/secret", "../secret", "../../../../../../../secret"])
def test_a_link_out_of_the_root_finds_nothing(root, target):
    make_link(root, "ln", target)
    assert root.stat(b"ln") is None
    assert root.read_file(b"ln", 100) is None
    assert root.stat(b"ln", follow=False) is not None


def test_the_real_path_of_the_outside_is_inside_too(root, tmp_path):
    make_link(root, "ln", str(tmp_path / "secrets"))
    with pytest.raises(NotInRootError), root.at(b"ln/new"):
        pass


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        (b"/", b""),
        (b"new", b"new"),
        (b"new/deep", b"new/deep"),
        (b"ln/new/x", b"etc/new/x"),
        (b"etc/../etc", b"etc"),
    ],
)
def test_what_is_missing_stays_in_a_resolved_path(root, path, resolved):
    make_link(root, "ln", "/etc")
    assert root.resolve(path) == resolved


def test_circles_are_refused(root):
    make_link(root, "a", "b")
    make_link(root, "b", "a")
    with pytest.raises(TooManyLinksError), root.at(b"a/x"):
        pass


def test_a_chain_of_links_is_followed_up_to_a_limit(root):
    make_link(root, "l0", "etc")
    for number in range(1, 300):
        make_link(root, f"l{number}", f"l{number - 1}")
    assert root.read_file(b"l200/passwd", 100) == b"inside"
    with pytest.raises(TooManyLinksError), root.at(b"l299/passwd"):
        pass


def test_directories_are_made_with_the_owner_and_mode_asked_for(root):
    old = os.umask(0o077)
    try:
        made = root.make_directories(b"/a/b/c", NewDirectory(0o750, (12, 34)))
    finally:
        os.umask(old)
    assert made == [b"a", b"a/b", b"a/b/c"]
    found = os.stat(os.path.join(root.path, "a/b/c"))
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o750, 12, 34)
    assert root.make_directories(b"a/b", NewDirectory()) == []


def test_directories_are_made_where_a_link_leads(root):
    make_link(root, "ln", "/target/deep")
    made = root.make_directories(b"ln/x", NewDirectory())
    assert made == [b"target", b"target/deep", b"target/deep/x"]


def test_a_file_on_the_way_is_an_error(root):
    with (
        pytest.raises(ParentNotDirectoryError, match="/etc/passwd is not a directory"),
        root.at(b"etc/passwd/x"),
    ):
        pass


def test_names_that_the_kernel_refuses_are_our_error(root):
    with pytest.raises(PathError), root.at(b"x" * 300):
        pass
    with pytest.raises(PathError), root.at(b"a\0b"):
        pass


def test_deep_trees_have_no_limit_of_ours(root):
    path = b"/".join([b"d" * 200] * 60)
    root.make_directories(path, NewDirectory())
    assert root.stat(path) is not None


def test_a_file_larger_than_its_limit_is_refused(root):
    with pytest.raises(PathError, match="larger"):
        root.read_file(b"etc/passwd", 3)


def test_the_root_is_a_place(root):
    with root.at(b"/") as location:
        assert location.is_directory
        assert location.path == b""
    with root.at(b"etc/..") as location:
        assert location.path == b""


def test_nothing_stays_open(root):
    before = len(os.listdir("/proc/self/fd"))
    make_link(root, "a", "a")
    for path in (b"etc/passwd", b"missing/x", b"a/b", b"etc/passwd/x"):
        try:
            with root.at(path):
                pass
        except PathError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("hands_on", [True, False])
def test_a_set_group_id_bit_is_handed_on(root, hands_on):
    os.mkdir(os.path.join(root.path, "group"))
    os.chmod(os.path.join(root.path, "group"), 0o2775)
    root.make_directories(b"/group/a/b", NewDirectory(0o750, hands_on=hands_on))
    modes = [
        stat.S_IMODE(os.stat(os.path.join(root.path, path)).st_mode) for path in ("group/a", "group/a/b")
    ]
    assert modes == [0o2750 if hands_on else 0o750] * 2
