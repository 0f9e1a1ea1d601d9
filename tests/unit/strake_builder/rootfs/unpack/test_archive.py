"""Layers and archives of strangers end up inside their directory, or are refused."""

import contextlib
import io
import os
import stat
import subprocess
import tarfile

import pytest

from strake_builder.layers.errors import MalformedLayerError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.stack.layer_stack import OPAQUE_XATTR
from strake_builder.rootfs.unpack.archive import unpack_archive, unpack_layer
from tests.fixtures.content.tar_members import CHR, DIR, FIFO, LNK, SYM, member


def archive(*members) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return io.BytesIO(buffer.getvalue())


@pytest.fixture
def layer(tmp_path):
    """An empty directory for a layer, with something beside it that must stay as it is."""
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "etc").mkdir()
    directory = tmp_path / "layer"
    directory.mkdir()
    yield directory
    assert (tmp_path / "victim").read_text() == "untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["etc", "layer", "victim"]
    assert not list((tmp_path / "etc").iterdir())


def unpack(layer, *members, lowest=False):
    return unpack_layer(archive(*members), str(layer), lowest=lowest)


def test_metadata_comes_out_as_it_went_in(layer):
    unpack(
        layer,
        member("d", type=DIR, mode=0o2750, uid=5, gid=6, mtime=77),
        member("d/f", b"content", mode=0o4711, uid=70_000, gid=80_000, mtime=99),
        member("d/ln", type=SYM, linkname="/anywhere", uid=9, gid=9),
        member("d/hl", type=LNK, linkname="d/f", mode=0o4711, uid=70_000, gid=80_000),
        member("d/p", type=FIFO, mode=0o622),
    )
    directory, file = os.stat(layer / "d"), os.stat(layer / "d/f")
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid, directory.st_mtime) == (0o2750, 5, 77)
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_gid) == (0o4711, 70_000, 80_000)
    assert os.readlink(layer / "d/ln") == "/anywhere"
    assert os.lstat(layer / "d/ln").st_uid == 9
    assert os.stat(layer / "d/hl").st_ino == file.st_ino
    assert stat.S_ISFIFO(os.stat(layer / "d/p").st_mode)


def test_a_directory_has_its_own_time_alone(layer):
    """Not that of one in whose place, or that of its parent, a link is now."""
    unpack(
        layer,
        member("b/d", type=DIR, mtime=7),
        member("a/d", type=DIR),
        member("a", type=SYM, linkname="b"),
    )
    assert os.stat(layer / "b/d").st_mtime == 7


@pytest.mark.parametrize("name", ["../victim", "a/../../victim", "a/b/../../../victim", ".."])
def test_a_layer_that_climbs_is_refused(layer, name):
    with pytest.raises(MalformedLayerError, match="climbs out"):
        unpack(layer, member(name, b"hacked"))


def test_an_absolute_name_is_a_name_inside(layer):
    unpack(layer, member("/victim", b"inside"))
    assert (layer / "victim").read_bytes() == b"inside"


@pytest.mark.parametrize("target", ["/", "..", "../..", "/etc/..", "."])
def test_writing_through_a_link_ends_inside(layer, target):
    unpack(layer, member("ln", type=SYM, linkname=target), member("ln/victim", b"inside"))
    assert (layer / "victim").read_bytes() == b"inside"


def test_a_link_is_replaced_not_followed(layer, tmp_path):
    unpack(layer, member("f", type=SYM, linkname=str(tmp_path / "victim")), member("f", b"new"))
    assert (layer / "f").read_bytes() == b"new"
    assert not (layer / "f").is_symlink()


def test_a_directory_over_a_link_does_not_reach_its_target(layer):
    unpack(
        layer,
        member("d", type=SYM, linkname="../etc"),
        member("d", type=DIR, mode=0o700),
        member("d/x", b"1"),
    )
    assert (layer / "d").is_dir()
    assert not (layer / "d").is_symlink()


@pytest.mark.parametrize("target", ["../victim", "../../victim", "a/../../victim"])
def test_a_hard_link_out_is_refused(layer, target):
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("hl", type=LNK, linkname=target))


def test_a_hard_link_through_a_link_out_is_refused(layer, tmp_path):
    with pytest.raises(MalformedLayerError):
        unpack(
            layer,
            member("up", type=SYM, linkname=str(tmp_path)),
            member("hl", type=LNK, linkname="up/victim"),
            lowest=True,
        )


@pytest.mark.parametrize("target", ["missing", "d"])
def test_a_hard_link_to_nothing_or_a_directory_is_refused(layer, target):
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("d", type=DIR), member("hl", type=LNK, linkname=target), lowest=True)


def test_whiteouts_become_overlays_own(layer):
    unpack(layer, member("d/.wh.gone"), member("o/.wh..wh..opq"), member("o/kept", b"k"))
    gone = os.lstat(layer / "d/gone")
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(layer / "o", OPAQUE_XATTR) == b"y"
    assert (layer / "o/kept").read_bytes() == b"k"


def test_whiteouts_do_not_hide_their_own_layer(layer):
    unpack(layer, member("a", b"1"), member(".wh.a"), member(".wh.b"), member("b", b"2"))
    assert (layer / "a").read_bytes() == b"1"
    assert (layer / "b").read_bytes() == b"2"


def test_the_lowest_layer_has_no_whiteouts(layer):
    unpack(layer, member("d", type=DIR), member("d/.wh.x"), member("d/.wh..wh..opq"), lowest=True)
    assert list((layer / "d").iterdir()) == []


def aufs_members():
    return (
        member(".wh..wh.aufs"),
        member(".wh..wh.orph", type=DIR),
        member(".wh..wh.orph/.wh..wh..opq"),
        member("./.wh..wh.plnk/", type=DIR, mode=0o700),
        member(".wh..wh.plnk/7.1", b"shared", mode=0o640, uid=5),
        member(".wh..wh.plnk/deep/8", b"x"),
        member(".wh..wh.plnk/link", type=SYM, linkname="/"),
        member("d", type=DIR),
        member("d/.wh..wh.own", b"x"),
        member("d/.wh..wh.own.d/f", b"x"),
        member("first", type=LNK, linkname=".wh..wh.plnk/7.1"),
        member("d/second", type=LNK, linkname="./.wh..wh.plnk//7.1"),
    )


@pytest.mark.parametrize("lowest", [True, False])
def test_what_aufs_keeps_for_itself_is_no_part_of_a_layer(layer, lowest, tmp_path):
    unpack_layer(archive(*aufs_members()), str(layer), lowest=lowest, parents_file=str(layer / "parents"))
    assert sorted(os.listdir(layer)) == ["d", "first"], "and there are no implicit parents"
    assert os.listdir(layer / "d") == ["second"]
    assert (layer / "d/second").read_bytes() == b"shared"
    found = os.stat(layer / "first")
    assert (found.st_nlink, stat.S_IMODE(found.st_mode), found.st_uid) == (2, 0o640, 5)


def test_a_link_to_what_aufs_has_not_kept_is_refused(layer):
    with pytest.raises(MalformedLayerError, match="no file before it"):
        unpack(layer, member("f", type=LNK, linkname=".wh..wh.plnk/7.1"), lowest=True)


def test_an_opaque_directory_stays_one_beside_data_of_aufs(layer):
    unpack(layer, *aufs_members(), member("o/.wh..wh..opq"), member(".wh.gone"))
    assert os.getxattr(layer / "o", OPAQUE_XATTR) == b"y"
    assert stat.S_ISCHR(os.lstat(layer / "gone").st_mode)


def test_an_archive_may_hold_names_of_aufs(layer):
    with Root(str(layer)) as root:
        unpack_archive(archive(member(".wh..wh.aufs", b"plain")), root)
    assert (layer / ".wh..wh.aufs").read_bytes() == b"plain"


@pytest.mark.parametrize("target", ["real", "/real", "../layer/real", "missing"])
def test_a_directory_of_an_archive_takes_the_place_of_a_link(layer, target):
    (layer / "real").mkdir()
    (layer / "ln").symlink_to(target)
    with Root(str(layer)) as root:
        unpack_archive(archive(member("ln/", type=DIR), member("ln/f", b"1")), root)
    assert not (layer / "ln").is_symlink()
    assert (layer / "ln/f").read_bytes() == b"1"
    assert not list((layer / "real").iterdir())


def test_a_member_of_an_archive_goes_through_a_link_that_stays(layer):
    (layer / "real").mkdir()
    (layer / "ln").symlink_to("/real")
    with Root(str(layer)) as root:
        unpack_archive(archive(member("ln/f", b"1")), root)
    assert (layer / "real/f").read_bytes() == b"1"


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_nothing_is_refused(layer, name):
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("d", type=DIR), member(name))


def test_a_device_that_poses_as_a_whiteout_is_refused(layer):
    with pytest.raises(MalformedLayerError, match="whiteout"):
        unpack(layer, member("x", type=CHR, devmajor=0, devminor=0))


def test_overlays_own_attributes_cannot_be_smuggled_in(layer):
    pax = {"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.kept": "v"}
    unpack(layer, member("d", type=DIR, pax_headers=pax))
    assert os.listxattr(layer / "d") == ["user.kept"]


def test_clashing_types_the_last_one_wins(layer):
    unpack(
        layer,
        member("x", type=DIR),
        member("x/deep/file", b"1"),
        member("x", b"a file now"),
        member("y", b"file"),
        member("y", type=DIR),
        member("z", b"1"),
        member("z", b"22"),
    )
    assert (layer / "x").read_bytes() == b"a file now"
    assert (layer / "y").is_dir()
    assert (layer / "z").read_bytes() == b"22"


def test_a_file_in_place_of_a_parent_is_refused(layer):
    with pytest.raises(MalformedLayerError):
        unpack_layer(archive(member("f", b"1"), member("f/x", b"2")), str(layer), lowest=True)


@pytest.mark.parametrize(
    ("owner", "mode"),
    [((0, 0), 0o644), ((0, 0), 0o4755), ((7, 8), 0o644), ((7, 8), 0o6711), ((0, 5), 0o1600)],
)
def test_owner_and_mode_of_a_file(layer, owner, mode):
    unpack(layer, member("f", b"1", mode=mode, uid=owner[0], gid=owner[1]))
    found = (layer / "f").stat()
    assert ((found.st_uid, found.st_gid), stat.S_IMODE(found.st_mode)) == (owner, mode)


def test_nothing_stays_open(layer):
    before = len(os.listdir("/proc/self/fd"))
    unpack(layer, member("a/b", b"1"), member("a/c", b"2"))
    unpack(layer, *(member(f"{n}/{n}/f", b"1") for n in range(60)))
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("a/b", b"1"), member("a/../..", b"2"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "record", [{"uid": "4294967295"}, {"gid": "4294967296"}, {"uid": "9" * 19}, {"mtime": "9" * 19}]
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, DIR, FIFO, SYM])
def test_numbers_that_no_system_has_are_refused(layer, record, kind):
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("x", type=kind, linkname="y", pax_headers=record))


def test_the_root_stays_a_directory(layer):
    unpack(layer, member("./", type=DIR, mode=0o750), member(".", b"retyped"), member("f", b"1"))
    assert layer.is_dir()
    assert stat.S_IMODE(layer.stat().st_mode) == 0o750


def test_odd_names(layer):
    names = ["a b", "tab\tname", "new\nline", "-rf", "ж", "x" * 255]
    unpack(layer, *(member(name, b"1") for name in names))
    assert sorted(p.name for p in layer.iterdir()) == sorted(names)


def test_a_name_too_long_for_the_file_system_is_our_error(layer):
    with pytest.raises(MalformedLayerError):
        unpack(layer, member("x" * 256, b"1"))


def test_a_very_deep_path(layer):
    parts = ["d" * 100] * 50  # more than the 4,096 bytes that one path may have
    unpack(layer, member("/".join(parts), b"deep"))
    with contextlib.ExitStack() as opened:
        directory = os.open(layer, os.O_PATH)
        opened.callback(os.close, directory)
        for part in parts[:-1]:
            assert os.listdir(f"/proc/self/fd/{directory}") == [part]
            directory = os.open(part, os.O_PATH, dir_fd=directory)
            opened.callback(os.close, directory)
        with open(os.open(parts[-1], os.O_RDONLY, dir_fd=directory), "rb") as file:
            assert file.read() == b"deep"


def test_an_archive_ends_inside_its_destination(layer):
    with Root(layer) as root:
        unpack_archive(archive(member("../../victim", b"1"), member(".wh.x", b"plain")), root)
    assert (layer / "victim").read_bytes() == b"1"
    assert (layer / ".wh.x").read_bytes() == b"plain"


def test_an_archive_keeps_what_it_does_not_name(layer):
    (layer / "d").mkdir(mode=0o700)
    (layer / "d/old").write_text("o")
    (layer / "ln").symlink_to("d")
    with Root(layer) as root:
        unpack_archive(archive(member("d/new", b"n"), member("ln/through", b"t")), root, owner=(3, 4))
    assert sorted(p.name for p in (layer / "d").iterdir()) == ["new", "old", "through"]
    assert stat.S_IMODE((layer / "d").stat().st_mode) == 0o700
    assert os.stat(layer / "d/new").st_uid == 3


@pytest.mark.parametrize(
    "how", ["gnu", "pax --sparse-version=0.0", "pax --sparse-version=0.1", "pax --sparse-version=1.0"]
)
def test_sparse_files_stay_sparse(layer, how, tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    with (source / "f").open("wb") as file:
        file.truncate(30 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"end")
    command = ["tar", "-c", "--sparse", *f"--format={how}".split(), "-C", str(source), "f"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    with Root(str(layer)) as root:
        unpack_archive(io.BytesIO(data), root)
    (layer / "f").rename(layer / "added")
    unpack_layer(io.BytesIO(data), str(layer), lowest=False)
    for name in ("f", "added"):
        assert (layer / name).read_bytes() == (source / "f").read_bytes()
        assert os.stat(layer / name).st_blocks * 512 < 1 << 20


def test_a_directory_with_directories_in_it_is_replaced_by_a_file(layer):
    unpack(layer, member("d", type=DIR), member("d/sub", type=DIR), member("d", b"content"))
    assert (layer / "d").read_bytes() == b"content"
