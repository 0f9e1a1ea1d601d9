"""COPY's rules on real directories; the reference results cover whole images."""

import os
import resource
import stat

import pytest

from strake_builder.errors import StepError
from strake_builder.rootfs.copying.copy import copy_path, copy_whole, write_file
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.remove import remove_tree


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    with Root(tmp_path / "source") as source, Root(tmp_path / "target") as target:
        yield source, target, tmp_path / "source", tmp_path / "target"


def test_large_files_are_copied_whole(roots):
    source, target, here, there = roots
    data = os.urandom(3_000_001)
    (here / "f").write_bytes(data)
    copy_path(source, b"f", target, b"/g", CopyOptions())
    assert (there / "g").read_bytes() == data


def test_a_whole_directory_is_as_its_source_and_of_another_the_content_is_copied(roots):
    source, target, here, there = roots
    (here / "d").mkdir()
    (here / "d/f").write_text("f")
    (here / "d").chmod(0o1711)
    os.utime(here / "d", ns=(1, 2))
    copy_path(source, b"d", target, b"/content", CopyOptions())
    copy_whole(source, b"d", target, b"/whole")
    copy_whole(source, b"d/f", target, b"/file")
    assert stat.S_IMODE((there / "content").stat().st_mode) == 0o755
    whole = (there / "whole").stat()
    assert (stat.S_IMODE(whole.st_mode), whole.st_mtime_ns) == (0o1711, 2)
    assert (there / "whole/f").read_text() == (there / "file").read_text() == "f"


def test_an_empty_file_is_copied(roots):
    source, target, here, there = roots
    (here / "f").touch()
    copy_path(source, b"f", target, b"/g", CopyOptions())
    assert (there / "g").read_bytes() == b""


def test_many_hard_links_need_few_descriptors(roots):
    source, target, here, there = roots
    for number in range(400):
        (here / f"d{number}").mkdir()
        (here / f"d{number}/a").write_text("x")
        os.link(here / f"d{number}/a", here / f"b{number}")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 50, limits[1]))
    try:
        copy_path(source, b"/", target, b"/", CopyOptions())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert all(os.stat(there / f"b{n}").st_ino == os.stat(there / f"d{n}/a").st_ino for n in range(400))


def test_hard_links_within_a_source_stay(roots):
    source, target, here, there = roots
    (here / "d").mkdir()
    (here / "d/a").write_text("x")
    os.link(here / "d/a", here / "d/b")
    copy_path(source, b"d", target, b"/out", CopyOptions())
    assert os.stat(there / "out/a").st_ino == os.stat(there / "out/b").st_ino


def test_times_are_kept_and_can_be_set(roots):
    source, target, here, there = roots
    (here / "d").mkdir()
    (here / "d/f").write_text("x")
    os.utime(here / "d/f", ns=(5, 1_234_567_890))
    copy_path(source, b"d", target, b"/kept", CopyOptions())
    copy_path(source, b"d", target, b"/set", CopyOptions(mtime_ns=42))
    assert os.stat(there / "kept/f").st_mtime_ns == 1_234_567_890
    assert os.stat(there / "set/f").st_mtime_ns == 42
    assert os.stat(there / "set").st_mtime_ns == 42


def test_a_destination_link_cannot_lead_out(roots, tmp_path):
    source, target, here, there = roots
    (here / "f").write_text("x")
    (there / "ln").symlink_to(tmp_path)
    copy_path(source, b"f", target, b"/ln/escaped", CopyOptions())
    assert not (tmp_path / "escaped").exists()
    assert (there / str(tmp_path).lstrip("/") / "escaped").read_text() == "x"


def test_a_source_link_cannot_lead_out(roots, tmp_path):
    source, target, here, _ = roots
    (tmp_path / "secret").write_text("s")
    (here / "ln").symlink_to(tmp_path / "secret")
    with pytest.raises(StepError, match="does not exist"):
        copy_path(source, b"ln", target, b"/x", CopyOptions())


def test_links_below_the_destination_are_replaced_not_followed(roots, tmp_path):
    source, target, here, there = roots
    (tmp_path / "victim").write_text("v")
    (here / "d").mkdir()
    (here / "d/f").write_text("new")
    (there / "d").mkdir()
    (there / "d/f").symlink_to(tmp_path / "victim")
    copy_path(source, b"d", target, b"/d", CopyOptions())
    assert (tmp_path / "victim").read_text() == "v"
    assert (there / "d/f").read_text() == "new"


@pytest.mark.parametrize("kind", ["file over directory", "directory over file", "directory over link"])
def test_clashes_below_the_destination_are_errors(roots, kind):
    source, target, here, there = roots
    (here / "d").mkdir()
    (there / "d").mkdir()
    if kind == "file over directory":
        (here / "d/x").write_text("f")
        (there / "d/x").mkdir()
    else:
        (here / "d/x").mkdir()
        if kind == "directory over file":
            (there / "d/x").write_text("f")
        else:
            (there / "d/x").symlink_to("/")
    with pytest.raises(StepError):
        copy_path(source, b"d", target, b"/d", CopyOptions())


def test_directories_that_are_only_on_the_way_are_made_when_something_is_in_them(roots):
    source, target, here, there = roots
    for name in ("keep/deep", "drop/deep"):
        (here / name).mkdir(parents=True)
    (here / "keep/deep/f").write_text("x")
    (here / "drop/deep/g").write_text("x")
    options = CopyOptions(keep=lambda path, _: path.endswith(b"/f"), enter=lambda _path, _dir: True)
    copy_path(source, b"/", target, b"/", options)
    assert sorted(str(p.relative_to(there)) for p in there.rglob("*")) == ["keep", "keep/deep", "keep/deep/f"]


def test_pipes_are_copied_and_sockets_left_out(roots):
    import socket

    source, target, here, there = roots
    (here / "d").mkdir()
    os.mkfifo(here / "d/p")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(here / "d/s"))
        copy_path(source, b"d", target, b"/d", CopyOptions())
    assert [p.name for p in (there / "d").iterdir()] == ["p"]
    assert stat.S_ISFIFO(os.stat(there / "d/p").st_mode)


def test_a_written_file_follows_the_same_rules(roots):
    _, target, _, there = roots
    write_file(b"1", b"name", 0o644, target, b"/new/dir/", CopyOptions(owner=(7, 8), made_owner=(7, 8)))
    write_file(b"2", b"name", 0o644, target, b"/file", CopyOptions(mode=lambda _mode, _dir: 0o700))
    assert (there / "new/dir/name").read_bytes() == b"1"
    assert os.stat(there / "new/dir").st_uid == 7
    assert stat.S_IMODE(os.stat(there / "file").st_mode) == 0o700


def test_a_deep_tree_needs_no_deep_stack(roots):
    source, target, here, there = roots
    fd = os.open(here, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        copy_path(source, b"/", target, b"/", CopyOptions())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    count = len(_depth(there))
    for top in (here, there):
        remove_tree(str(top / "d"))  # pytest's own tidying gives up on such depths
        assert not list(top.iterdir())
    assert count == 1500


def _depth(top) -> list[str]:
    names, fd = [], os.open(top, os.O_RDONLY)
    while found := os.listdir(fd):
        names += found
        below = os.open(found[0], os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    return names


@pytest.mark.parametrize("leads_to", ["/old", "/directory", "name", "/nothing"])
@pytest.mark.parametrize("destination", [b"/d", b"/d/"])
def test_a_link_in_the_directory_that_a_file_goes_into_is_replaced(roots, leads_to, destination):
    source, target, here, there = roots
    (here / "name").write_text("new")
    (there / "old").write_text("old")
    (there / "directory").mkdir()
    for made in (there / "d/name", there / "d/written"):
        made.parent.mkdir(exist_ok=True)
        made.symlink_to(leads_to)
    copy_path(source, b"name", target, destination, CopyOptions())
    write_file(b"new", b"written", 0o644, target, destination, CopyOptions())
    for made in (there / "d/name", there / "d/written"):
        assert not made.is_symlink()
        assert made.read_text() == "new"
    assert (there / "old").read_text() == "old"
    assert not list((there / "directory").iterdir())


def test_a_link_that_is_the_destination_is_followed(roots):
    source, target, here, there = roots
    (here / "name").write_text("new")
    (there / "link").symlink_to("/made")
    copy_path(source, b"name", target, b"/link", CopyOptions())
    assert (there / "link").is_symlink()
    assert (there / "made").read_text() == "new"


def test_a_directory_on_the_way_to_what_is_selected_keeps_its_owner(roots):
    source, target, here, there = roots
    for directory in (here / "way/to", there / "way/to"):
        directory.mkdir(parents=True)
    (here / "way/to/file").write_text("x")
    (here / "way").chmod(0o711)
    os.utime(here / "way", (1, 1))
    os.setxattr(there / "way", "user.kept", b"1")
    selected = b"way/to"
    options = CopyOptions(
        mode=lambda _mode, _dir: 0o700,
        keep=lambda path, _: path.startswith(selected),
        enter=lambda _path, _: True,
        selects=lambda path, _: path.startswith(selected),
    )
    copy_path(source, b"/", target, b"/", options)
    assert [stat.S_IMODE((there / path).stat().st_mode) for path in ("way", "way/to")] == [0o711, 0o700]
    assert (there / "way/to/file").exists()
