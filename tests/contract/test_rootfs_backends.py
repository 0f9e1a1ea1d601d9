"""Every rootfs backend: what a step did is what its layer says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import stat

import pytest

from tests.fixtures.content.snapshots import make_layer, names

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service, effective


def write(path: str, content: str = "") -> None:
    with open(path, "w") as file:
        file.write(content)


def test_a_changed_file_comes_with_its_parents(step, tmp_path):
    base = make_layer(tmp_path / "base", a__b__f="1", a__g="2")

    def act(root):
        with open(f"{root}/a/b/f", "a") as file:
            file.write("more")

    assert names(step([base], act)) == ["a", "a/b", "a/b/f"]


def test_what_is_as_it_was_is_no_change(step, tmp_path):
    base = make_layer(tmp_path / "base", a__f="1", b="2", c="3")

    def act(root):
        os.chown(f"{root}/a/f", 0, 0)
        os.chmod(f"{root}/b", os.stat(f"{root}/b").st_mode & 0o7777)
        was = os.stat(f"{root}/c").st_mtime_ns
        write(f"{root}/c", "3")
        os.utime(f"{root}/c", ns=(was, was))
        write(f"{root}/a/new")
        os.unlink(f"{root}/a/new")

    assert step([base], act) == []


def test_a_step_that_does_nothing_changes_nothing(step, tmp_path):
    assert step([make_layer(tmp_path / "base", a__f="1")], lambda _: None) == []


def test_no_lower_layers_are_an_empty_root(step):
    assert step([], lambda root: os.rmdir(root + "/x") if os.listdir(root) else None) == []


def test_the_first_layer_of_all(step):
    def act(root):
        os.makedirs(f"{root}/a/b", 0o711)
        write(f"{root}/a/b/f", "1")

    assert names(step([], act)) == ["a", "a/b", "a/b/f"]


def test_the_same_size_and_time_with_another_content_is_a_change(step, tmp_path):
    base = make_layer(tmp_path / "base", f="aaaa")
    os.utime(base / "f", (5, 5))

    def act(root):
        write(f"{root}/f", "bbbb")
        os.utime(f"{root}/f", (5, 5))

    assert names(step([base], act)) == ["f"]


def test_another_time_alone_is_a_change(step, tmp_path):
    base = make_layer(tmp_path / "base", f="1", d__g="1")
    [member] = step([base], lambda root: os.utime(f"{root}/f", (5, 5)))
    assert (member.name, member.mtime) == ("f", 5)


def test_removals_are_whiteouts_of_what_was_there(step, tmp_path):
    base = make_layer(tmp_path / "base", d__f="1", d__g="2", e__h="3")

    def act(root):
        os.unlink(f"{root}/d/f")
        shutil.rmtree(f"{root}/e")
        write(f"{root}/temporary")
        os.unlink(f"{root}/temporary")

    assert names(step([base], act)) == ["d", "d/.wh.f", ".wh.e"]


def test_a_directory_made_anew_hides_the_old_one(step, tmp_path):
    base = make_layer(tmp_path / "base", d__old="1", d__sub__old="1")

    def act(root):
        os.mkdir(f"{root}/keeps-the-inode-numbers-apart")
        shutil.move(f"{root}/d", f"{root}/gone")
        os.mkdir(f"{root}/d")
        write(f"{root}/d/new")
        shutil.rmtree(f"{root}/gone")
        os.rmdir(f"{root}/keeps-the-inode-numbers-apart")

    assert names(step([base], act)) == ["d", "d/.wh..wh..opq", "d/new"]


def test_a_directory_made_anew_where_its_inode_number_may_be_used_again(step, tmp_path):
    base = make_layer(tmp_path / "base", d__old="1", d__same="2")

    def act(root):
        shutil.rmtree(f"{root}/d")
        os.mkdir(f"{root}/d")
        write(f"{root}/d/same", "2")

    assert "d/same" in names(step([base], act))


@pytest.mark.parametrize("old", ["file", "link", "directory", "fifo"])
@pytest.mark.parametrize("new", ["file", "link", "directory", "fifo", "device"])
def test_something_of_another_type_in_its_place(step, tmp_path, old, new):
    base = make_layer(tmp_path / "base", beside="1")
    make(old, f"{base}/x")

    def act(root):
        remove = shutil.rmtree if old == "directory" else os.unlink
        remove(f"{root}/x")
        make(new, f"{root}/x", "new")

    seen = step([base], act)
    assert {member.name.partition("/")[0] for member in seen} == {"x"}
    assert not any(".wh." in name and name != "x/.wh..wh..opq" for name in names(seen) if old != new)


def make(kind: str, path: str, content: str = "old") -> None:
    match kind:
        case "file":
            write(path, content)
        case "link":
            os.symlink(content, path)
        case "directory":
            os.mkdir(path)
            write(f"{path}/{content}")
        case "fifo":
            os.mkfifo(path)
        case "device":
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def test_a_link_that_points_elsewhere(step, tmp_path):
    base = make_layer(tmp_path / "base", a="1", b="2")
    (base / "ln").symlink_to("a")

    def act(root):
        os.unlink(f"{root}/ln")
        os.symlink("b", f"{root}/ln")

    [member] = step([base], act)
    assert (member.name, member.target) == ("ln", "b")


@pytest.mark.parametrize("change", [lambda p: os.chmod(p, 0o4711), lambda p: os.chown(p, 70_000, 80_000)])
@pytest.mark.parametrize("path", ["d", "d/f"])
def test_metadata_alone_is_a_change(step, tmp_path, change, path):
    base = make_layer(tmp_path / "base", d__f="1", d__g="2")
    seen = step([base], lambda root: change(f"{root}/{path}"))
    assert names(seen) == (["d"] if path == "d" else ["d", "d/f"])
    assert (seen[-1].mode, seen[-1].uid) in {
        (0o4711, 0),
        (stat.S_IMODE((base / path).stat().st_mode), 70_000),
    }


def test_extended_attributes(step, tmp_path):
    base = make_layer(tmp_path / "base", tool="elf", noted="1", plain="1")
    os.setxattr(base / "noted", "user.note", b"old")

    def act(root):
        os.setxattr(f"{root}/tool", "security.capability", CAPABILITY)
        os.removexattr(f"{root}/noted", "user.note")
        os.mkdir(f"{root}/d")
        os.setxattr(f"{root}/d", "user.note", b"new")

    seen = {member.name: member for member in step([base], act)}
    assert sorted(seen) == ["d", "noted", "tool"]
    assert list(seen["tool"].xattrs) == ["security.capability"]
    assert seen["noted"].xattrs == {}
    assert seen["d"].xattrs == {"user.note": "new"}


def test_a_copied_up_file_keeps_its_capability(step, tmp_path):
    base = make_layer(tmp_path / "base", tool="elf")
    os.setxattr(base / "tool", "security.capability", CAPABILITY)
    [member] = step([base], lambda root: os.utime(f"{root}/tool", (9, 9)))
    assert list(member.xattrs) == ["security.capability"]


def test_an_empty_directory(step, tmp_path):
    base = make_layer(tmp_path / "base", d__f="1")

    def act(root):
        os.mkdir(f"{root}/empty", 0o1777)
        os.chmod(f"{root}/empty", 0o1777)
        os.unlink(f"{root}/d/f")

    seen = step([base], act)
    assert [(m.name, m.mode) for m in seen if m.name == "empty"] == [("empty", 0o1777)]
    assert names(seen) == ["d", "d/.wh.f", "empty"]


def test_devices_pipes_and_sockets(step):
    def act(root):
        os.mkfifo(f"{root}/pipe", 0o622)
        os.mknod(f"{root}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(f"{root}/disk", stat.S_IFBLK | 0o600, os.makedev(7, 300))
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(root)
            listener.bind("socket")
            os.chdir(here)

    seen = {member.name: member for member in step([], act)}
    assert sorted(seen) == ["disk", "null", "pipe"]
    assert seen["disk"].device == (7, 300)


def test_a_device_that_poses_as_a_whiteout_gets_into_no_layer(step, tmp_path):
    """Overlay refuses to make one; in a plain directory it is found afterwards."""
    base = make_layer(tmp_path / "base", f="1")

    def act(root):
        with contextlib.suppress(PermissionError):
            os.mknod(f"{root}/f2", stat.S_IFCHR, 0)

    try:
        made = names(step([base], act))
    except AssertionError as error:
        made = re.findall("StepError: the step made (.*), a character device 0:0", str(error))
        assert made == ["/f2"]
    else:
        assert made == []


def test_deep_long_and_odd_names(step, tmp_path):
    base = make_layer(tmp_path / "base", f="1")
    odd = [b"caf\xe9", b"new\nline", b"-rf", b"\xff\xfe", b" ", b"x" * 255, b"back\\slash", b'"', b"a,b:c"]

    def act(root):
        where = os.fsencode(root)
        for name in odd:
            os.close(os.open(where + b"/" + name, os.O_CREAT | os.O_WRONLY))
        deep = where + b"/deep" * 300
        os.makedirs(deep)
        os.close(os.open(deep + b"/f", os.O_CREAT | os.O_WRONLY))

    seen = {os.fsencode(name) for name in names(step([base], act))}
    assert set(odd) <= seen
    assert b"/".join([b"deep"] * 300) + b"/f" in seen
