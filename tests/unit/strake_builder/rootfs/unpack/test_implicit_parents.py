"""The parents that a layer implies: noted when it is unpacked alone, made when they are at hand."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from strake_builder.layers.errors import MalformedLayerError
from strake_builder.rootfs.stack.layer_stack import OPAQUE_XATTR
from strake_builder.rootfs.unpack.archive import unpack_layer
from strake_builder.rootfs.unpack.implicit_parents import ImplicitParents, read_implicit_parents
from tests.fixtures.content.tar_members import CHR, DIR, FIFO, LNK, SYM, member
from tests.unit.strake_builder.rootfs.unpack.test_archive import archive


class Stack:
    """Layers unpacked one over the other, as a base image's are."""

    def __init__(self, directory):
        self._directory = directory
        self.layers: list[str] = []

    def alone(self, *members) -> ImplicitParents | None:
        path = self._directory / f"alone{len(os.listdir(self._directory))}"
        path.mkdir(mode=0o755)
        parents_file = f"{path}.parents"
        unpack_layer(archive(*members), str(path), lowest=False, parents_file=parents_file)
        assert (read_implicit_parents(parents_file) is not None) == os.path.exists(parents_file)
        return read_implicit_parents(parents_file)

    def add(self, *members) -> str:
        path = self._directory / f"layer{len(self.layers)}"
        path.mkdir(mode=0o755)
        lowers = tuple(reversed(self.layers))
        unpack_layer(archive(*members), str(path), lowest=not lowers, lowers=lowers or None)
        self.layers.append(str(path))
        return str(path)


def text(path: str) -> str:
    return Path(path).read_text()


@pytest.fixture
def stack(tmp_path):
    """A stack, with something beside it that must stay as it is."""
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "stack").mkdir()
    yield Stack(tmp_path / "stack")
    assert (tmp_path / "victim").read_text() == "untouched"
    assert os.stat(tmp_path / "victim").st_nlink == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stack", "victim"]


def test_implied_directories_are_noted_and_kept_beside_the_layer(stack):
    implied = stack.alone(
        member("explicit", type=DIR),
        member("explicit/f"),
        member("a/b/f"),
        member("later/f"),
        member("later", type=DIR),
    )
    assert (list(implied.directories()), implied.links) == ([b"a", b"a/b"], False)
    links = stack.alone(member("hl", type=LNK, linkname="lower"), member("d/f"))
    assert (list(links.directories()), links.links) == ([b"d"], True)
    assert list(stack.alone(member("hl", type=LNK, linkname="lower")).directories()) == []
    assert stack.alone(member("explicit", type=DIR), member("explicit/f")) is None


def test_whiteouts_are_noted_with_their_directories(stack):
    implied = stack.alone(member("d", type=DIR), member("d/.wh.x"), member("e/.wh.x"), member(".wh.y"))
    assert (list(implied.directories()), list(implied.with_whiteouts())) == ([b"e"], [b"d", b"e"])
    explicit = stack.alone(member("d", type=DIR), member("d/.wh.x"))
    assert not explicit.need_lower_layers
    assert explicit.matter(())
    stack.add(member("d/x"))
    assert not explicit.matter(stack.layers)
    assert stack.alone(member(".wh.y"), member(".wh..wh..opq")) is None


def test_very_many_are_noted_too(stack):
    count = 20_000
    implied = stack.alone(*(member(f"implied/with-a-longer-name/{n}/f") for n in range(count)))
    assert len(list(implied.directories())) == count + 2
    assert not implied.matter(())


def test_they_matter_where_lower_layers_look_otherwise(stack):
    stack.add(member("plain", type=DIR, mode=0o755), member("odd", type=DIR, mode=0o1777, uid=5))
    lowers = tuple(reversed(stack.layers))
    assert not stack.alone(member("plain/f"), member("new/f")).matter(lowers)
    assert stack.alone(member("plain/f"), member("odd/f")).matter(lowers)
    assert stack.alone(member("hl", type=LNK, linkname="x")).matter(lowers)


def test_an_implied_directory_is_the_lower_layers(stack):
    pax = {"SCHILY.xattr.user.note": "kept"}
    stack.add(member("d", type=DIR, mode=0o755), member("d/tmp", type=DIR, mode=0o755))
    stack.add(member("d/tmp", type=DIR, mode=0o1777, uid=70_000, gid=6, mtime=77, pax_headers=pax))
    top = stack.add(member("d/tmp/f", b"1"), member("d/new/g", b"2"))
    found = os.stat(f"{top}/d/tmp")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime) == (
        0o1777,
        70_000,
        6,
        77,
    )
    assert os.getxattr(f"{top}/d/tmp", "user.note") == b"kept"
    assert stat.S_IMODE(os.stat(f"{top}/d/new").st_mode) == 0o755


def test_a_member_behind_a_lower_link_lands_behind_it(stack):
    """`/lib` is a link to `usr/lib` in every Debian; a layer that says `lib/x` does not take it away."""
    stack.add(member("usr/lib", type=DIR, mode=0o755), member("lib", type=SYM, linkname="usr/lib"))
    top = stack.add(member("lib/x", b"1"), member("lib/.wh.gone"))
    assert os.readlink(f"{top}/lib") == "usr/lib"
    assert os.path.isfile(f"{top}/usr/lib/x")
    assert os.lstat(f"{top}/usr/lib/gone").st_rdev == 0


@pytest.mark.parametrize("target", ["/", "../../..", "/../victim", "..", "/proc/self/root"])
def test_a_lower_link_out_leads_nowhere_else(stack, target):
    stack.add(member("ln", type=SYM, linkname=target))
    top = stack.add(member("ln/victim", b"inside"))
    found = [
        os.path.join(where, name) for where, _, names in os.walk(top) for name in names if name == "victim"
    ]
    assert len(found) == 1
    assert text(found[0]) == "inside"


def test_a_lower_file_in_place_of_a_directory_is_refused(stack):
    stack.add(member("f", b"1"))
    with pytest.raises(MalformedLayerError, match="is a file in a lower layer"):
        stack.add(member("f/x", b"2"))


def test_a_hard_link_to_a_lower_file(stack):
    pax = {"SCHILY.xattr.user.note": "kept"}
    stack.add(member("d", type=DIR, mode=0o755), member("d/f", b"old", mode=0o4711, uid=5, pax_headers=pax))
    stack.add(member("d/f", b"content", mode=0o4711, uid=5, pax_headers=pax))
    links = [member(n, type=LNK, linkname=t, mode=0o4711, uid=5) for n, t in (("hl", "d/f"), ("hl2", "hl"))]
    top = stack.add(*links)
    found = os.stat(f"{top}/hl")
    assert text(f"{top}/hl") == "content"
    assert (found.st_mode, found.st_uid, found.st_nlink) == (stat.S_IFREG | 0o4711, 5, 3)
    assert os.stat(f"{top}/d/f").st_ino == os.stat(f"{top}/hl2").st_ino == found.st_ino
    assert os.getxattr(f"{top}/hl", "user.note") == b"kept"
    assert text(f"{stack.layers[0]}/d/f") == "old"


def test_what_follows_a_hard_link_to_a_lower_file(stack):
    stack.add(member("f", b"lower"), member("g", b"g"))
    top = stack.add(
        member("hl", type=LNK, linkname="f"),
        member("f", b"new"),
        member("hg", type=LNK, linkname="g"),
        member(".wh.g"),
    )
    assert (text(f"{top}/hl"), text(f"{top}/f")) == ("lower", "new")
    assert text(f"{top}/hg") == "g"


@pytest.mark.parametrize("name", ["ln", "p", "dev"])
def test_other_things_of_lower_layers_have_names_too(stack, name):
    stack.add(
        member("ln", type=SYM, linkname="/victim"),
        member("p", type=FIFO),
        member("dev", type=CHR, devmajor=1, devminor=3),
    )
    top = stack.add(member("hl", type=LNK, linkname=name))
    assert os.lstat(f"{top}/hl").st_mode == os.lstat(f"{stack.layers[0]}/{name}").st_mode


@pytest.mark.parametrize(
    "target",
    ["missing", "no/such/file", "d", "gone", "hidden/f", "f/x", "up/victim", "out", "../victim", "new"],
)
def test_a_hard_link_to_what_is_not_there_is_refused(stack, tmp_path, target):
    """Also where a link or a whiteout of the layer itself is in the way; nothing outside is ever named."""
    stack.add(
        member("d", type=DIR),
        member("f", b"1"),
        member("gone", b"1"),
        member("hidden/f", b"1"),
        member("up", type=SYM, linkname=str(tmp_path)),
    )
    with pytest.raises(MalformedLayerError):
        stack.add(
            member(".wh.gone"),
            member("hidden/.wh..wh..opq"),
            member("hl", type=LNK, linkname=target),
            member("new", b"after it"),
        )


def test_a_link_in_place_of_a_directory_of_a_lower_layer_is_not_followed_on_the_host(stack, tmp_path):
    """The middle layer hides the lowest one's link by a directory; the lookup must not go through the link."""
    stack.add(member("d", type=SYM, linkname=str(tmp_path)))
    stack.add(member("d", type=DIR, mode=0o755))
    with pytest.raises(MalformedLayerError):
        stack.add(member("hl", type=LNK, linkname="d/victim"))


def test_a_directory_after_its_own_whiteout_hides_the_old_one(stack):
    stack.add(member("d/old", b"1"), member("e/old", b"1"))
    top = stack.add(member(".wh.d"), member("d", type=DIR), member("e", type=DIR), member(".wh.e"))
    assert os.getxattr(f"{top}/d", OPAQUE_XATTR) == os.getxattr(f"{top}/e", OPAQUE_XATTR) == b"y"


def test_nothing_stays_open(stack):
    before = len(os.listdir("/proc/self/fd"))
    stack.add(member("d/f", b"1"))
    stack.add(member("d/g", b"1"), member("hl", type=LNK, linkname="d/f"))
    with pytest.raises(MalformedLayerError):
        stack.add(member("hl", type=LNK, linkname="d/missing"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_aufs_keeps_for_itself_is_no_part_of_a_layer_over_others(stack):
    stack.add(member("d", type=DIR, mode=0o1777), member("x", b"lower"))
    aufs = (member(".wh..wh.plnk/7.1", b"shared"), member(".wh..wh.aufs"), member(".wh..wh.orph", type=DIR))
    top = stack.add(*aufs, member("d/linked", type=LNK, linkname=".wh..wh.plnk/7.1"), member(".wh..wh.x"))
    assert os.listdir(top) == ["d"]
    assert text(f"{top}/d/linked") == "shared"
    assert stat.S_IMODE(os.stat(f"{top}/d").st_mode) == 0o1777
