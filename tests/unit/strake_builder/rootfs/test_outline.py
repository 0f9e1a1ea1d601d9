"""An outline tells when it is not enough, and is trusted with nothing but that."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from strake_builder.layers.errors import MalformedLayerError
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.outline import Outline, UnfitForOutlineError, outline_of
from strake_builder.rootfs.stack.layer_stack import LayerStack
from tests.fixtures.content.tar_members import DIR, member
from tests.unit.strake_builder.rootfs.unpack.test_archive import archive

MARK = "SCHILY.xattr.user.strake.unread"


class StepOverLayer:
    """A layer under a step, and what the step wrote."""

    def __init__(self, location: Path) -> None:
        self.at = location
        self.lower, self.upper = location / "lower", location / "upper"
        for directory in (self.lower, self.upper):
            directory.mkdir(mode=0o755)

    def outline(self, destination: bytes = b"/", *, accounts: bool = False) -> Outline:
        members = outline_of(LayerStack([str(self.lower)]), str(self.upper), destination, accounts=accounts)
        target = self.at / "outline"
        target.mkdir()
        return Outline.unpack(io.BytesIO(b"".join(tar_stream(members))), str(target))


@pytest.fixture
def step(tmp_path):
    return StepOverLayer(tmp_path)


def write(file: Path, content: str = "x", *, time: int = 1000) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (time, time))
    return file


def test_it_has_the_directories_that_were_written_into_and_names_of_the_rest(step):
    write(step.lower / "app/lib/deep/file")
    write(step.lower / "app/file", "content")
    write(step.lower / "etc/secret")
    write(step.upper / "app/new")
    outline = step.outline()
    made = sorted(str(p.relative_to(outline.directory)) for p in Path(outline.directory).rglob("*"))
    assert made == ["app", "app/file", "app/lib", "etc"]
    assert os.stat(f"{outline.directory}/app/file").st_size == 7
    assert Path(outline.directory, "app/file").read_bytes() == bytes(7), "no content that was not in the way"
    assert sorted(outline.unread) == [b"app/file", b"app/lib", b"etc"]


def test_it_has_the_way_to_a_destination_that_was_there(step):
    write(step.lower / "usr/src/app/file")
    outline = step.outline(b"/usr//src/app")
    assert os.path.isdir(f"{outline.directory}/usr/src/app")
    assert sorted(outline.unread) == [b"usr/src/app"]


def test_it_has_the_content_of_what_was_in_the_way(step):
    write(step.lower / "app/file", "content")
    write(step.upper / "app/file", "other")
    assert Path(step.outline().directory, "app/file").read_text() == "content"


def test_writing_where_nothing_is_known_does_not_suffice(step):
    write(step.lower / "app/lib/file")
    write(step.upper / "app/new")
    outline = step.outline()
    assert outline.suffices(str(step.upper))
    write(step.upper / "app/lib/new")
    assert not outline.suffices(str(step.upper))


def test_writing_over_a_file_of_unknown_content_does_not_suffice(step):
    write(step.lower / "app/file", "abcd")
    (step.upper / "app").mkdir()
    outline = step.outline()
    write(step.upper / "app/file", "1234")
    assert not outline.suffices(str(step.upper))


def test_users_and_groups_are_part_of_it_where_they_are_asked_for(step):
    write(step.lower / "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    outline = step.outline(accounts=True)
    assert Path(outline.directory, "etc/passwd").read_text().startswith("root:")
    assert b"etc/passwd" not in outline.unread


@pytest.mark.parametrize(
    "make",
    [
        lambda lower: [write(lower / str(number)) for number in range(4001)],
        lambda lower: write(lower / ".wh.name"),
        lambda lower: os.setxattr(write(lower / "f"), "user.strake.unread", b""),
        lambda lower: write(lower / "etc/passwd", "x" * 70_000),
        lambda lower: (write(lower / "real"), (lower / "etc").symlink_to("real")),
        lambda lower: ((lower / "etc").mkdir(), (lower / "etc/group").symlink_to("/other")),
    ],
)
def test_what_does_not_fit_an_outline_has_none(step, make):
    make(step.lower)
    with pytest.raises(UnfitForOutlineError):
        step.outline(accounts=True)


@pytest.mark.parametrize(
    "members",
    [
        [member("../file")],
        [member("d", type=DIR), member("d/../../file")],
        [member("file", pax_headers={MARK: "many"})],
        [member("file", pax_headers={MARK: ""})],
        [member("file", pax_headers={MARK: "-1"})],
        [member("file", pax_headers={MARK: "1" + "0" * 15})],
        [member(str(number)) for number in range(4004)],
        [member("file", bytes(1 << 20)), member("other", b"1")],
    ],
)
def test_a_hostile_outline_is_refused(tmp_path, members):
    target = tmp_path / "outline"
    target.mkdir()
    with pytest.raises(MalformedLayerError):
        Outline.unpack(archive(*members), str(target))
    assert [p.name for p in tmp_path.iterdir()] == ["outline"]


def test_a_size_takes_no_room(tmp_path):
    target = tmp_path / "outline"
    target.mkdir()
    Outline.unpack(archive(member("file", pax_headers={MARK: str(10**12)})), str(target))
    found = os.stat(target / "file")
    assert (found.st_size, found.st_blocks) == (10**12, 0)


def test_a_mark_is_no_attribute_of_the_file(step):
    write(step.lower / "app/file")
    outline = step.outline()
    assert os.listxattr(f"{outline.directory}/app") == []
