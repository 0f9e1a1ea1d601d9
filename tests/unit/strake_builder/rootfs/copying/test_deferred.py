"""Files that a step does not write: which they are, what comes later, and sources that change before they are read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from strake_builder.errors import InternalError, StepError
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.change import NO_CONTENT
from strake_builder.rootfs.diff.changes import overlay_changes
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.files.inside import Root


class Step:
    """A COPY of directories, one after the other, over nothing."""

    def __init__(self, home: Path, deferred: DeferredFiles) -> None:
        self.sources, self.upper = home / "sources", home / "upper"
        self.sources.mkdir()
        self.upper.mkdir()
        self.deferred = deferred

    def source(self, path: str, content: str = "content") -> Path:
        file = self.sources / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def copy(self, *sources: str, to: str = "/app/") -> None:
        options = CopyOptions((os.getuid(), os.getgid()), deferred=self.deferred)
        with Root(self.sources) as origin, Root(self.upper) as target:
            for source in sources:
                copy_path(origin, source.encode(), target, to.encode(), options)

    def layer(self) -> dict[str, tuple[bytes, str]]:
        """Return type and content of what is in the layer."""
        found = {}
        for entry, fd in overlay_changes(str(self.upper), (), deferred=self.deferred):
            content = os.pread(fd, entry.size, 0).decode() if fd != NO_CONTENT else ""
            found[os.fsdecode(entry.path)] = entry.type.value, content
        return found

    def written(self) -> list[str]:
        return sorted(str(path.relative_to(self.upper)) for path in self.upper.rglob("*"))


@pytest.fixture
def step(tmp_path):
    with contextlib.closing(DeferredFiles(str(tmp_path))) as deferred:
        deferred.can_have((os.getuid(), os.getgid()))
        yield Step(tmp_path, deferred)


def test_plain_files_are_deferred(step):
    step.source("tree/d/file")
    step.source("tree/empty", "")
    step.source("one")
    step.copy("tree", "one")
    assert step.written() == ["app", "app/d"]
    assert step.layer() == {
        "app": (b"5", ""),
        "app/d": (b"5", ""),
        "app/d/file": (b"0", "content"),
        "app/empty": (b"0", ""),
        "app/one": (b"0", "content"),
    }


def test_files_of_which_a_layer_has_more_are_written(step):
    os.link(step.source("tree/linked"), step.sources / "tree/other")
    os.setxattr(step.source("tree/attribute"), "user.strake", b"value")
    os.symlink("linked", step.sources / "tree/symlink")
    step.copy("tree")
    assert step.written() == ["app", "app/attribute", "app/linked", "app/other", "app/symlink"]


def test_a_file_without_a_size_that_has_content_is_written(step):
    with Root("/proc/self") as origin, Root(step.upper) as target:
        copy_path(
            origin, b"comm", target, b"/", CopyOptions((os.getuid(), os.getgid()), deferred=step.deferred)
        )
    assert (step.upper / "comm").read_text() == Path("/proc/self/comm").read_text()


def test_the_first_file_of_an_owner_is_written(step):
    """A user namespace may lack the owner's ID: that is found when the step executes."""
    assert not step.deferred.can_have((70_000, 0))
    assert step.deferred.can_have((70_000, 0))


def test_what_is_written_later_is_in_place_of_a_deferred_file(step):
    step.source("1/name", "first")
    (step.sources / "2").mkdir()
    os.symlink("elsewhere", step.sources / "2/name")
    step.copy("1", "2")
    assert step.layer() == {"app": (b"5", ""), "app/name": (b"2", "")}


def test_a_deferred_file_is_in_place_of_what_was_written_before(step):
    (step.sources / "1").mkdir()
    os.symlink("elsewhere", step.sources / "1/name")
    step.source("2/name", "second")
    step.copy("1", "2")
    assert step.layer() == {"app": (b"5", ""), "app/name": (b"0", "second")}


def test_a_directory_onto_a_deferred_file_is_refused(step):
    step.source("1/name")
    step.source("2/name/inner")
    step.copy("1", "2")
    with pytest.raises(StepError, match="cannot copy a directory onto /app/name, which is no directory"):
        step.layer()


def test_sources_in_any_order_are_deferred_as_long_as_they_are_few(step):
    names = [f"{number:03}" for number in reversed(range(100))]
    for name in names:
        step.source(name, name)
    step.copy(*names)
    assert {path: content for path, (_, content) in step.layer().items() if path != "app"} == {
        f"app/{name}": name for name in names
    }
    assert 0 < len(step.written()) - 1 < len(names)


def test_many_deferred_files_are_read_as_often_as_wanted(tmp_path):
    with contextlib.closing(DeferredFiles(str(tmp_path))) as files:
        expected = [DeferredFile(b"d/%05d" % n, b"s" * 100, 0o644, 1, 2, n, n) for n in range(5000)]
        for file in expected:
            files.add(file, replaces=False)
        assert list(files) == list(files) == expected


def test_no_file_is_lost_with_its_directory(step):
    """Nothing but what is to be left out is missing from a layer."""
    step.source("tree/d/file")
    step.copy("tree")
    os.rmdir(step.upper / "app/d")
    with pytest.raises(InternalError, match="the directory of /app/d/file is not among the changes"):
        step.layer()
    for left_out in (b"app", b"app/d", b"app/d/file"):
        found = overlay_changes(str(step.upper), (), left_out=frozenset({left_out}), deferred=step.deferred)
        assert [entry.path for entry, _ in found] == ([b"app"] if left_out != b"app" else [])


def test_a_path_of_any_length_is_noted(tmp_path):
    """Trees that were made directory by directory have paths that no system call takes."""
    path = b"/".join([b"d" * 255] * 300)
    with contextlib.closing(DeferredFiles(str(tmp_path))) as files:
        file = DeferredFile(path, path, 0o644, 0, 0, 1, 1)
        assert files.add(file, replaces=False)
        assert list(files) == [file]


def test_a_source_that_becomes_a_link_is_not_followed(step, tmp_path):
    file = step.source("tree/d/file", "x" * 6)
    step.copy("tree")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    file.unlink()
    file.symlink_to(tmp_path / "outside/file")
    with pytest.raises(StepError, match="cannot read /app/d/file"):
        b"".join(tar_stream(overlay_changes(str(step.upper), (), deferred=step.deferred)))
    file.unlink()
    file.parent.rmdir()
    file.parent.symlink_to(tmp_path / "outside")
    with pytest.raises(StepError, match="tree/d/file changed while it was copied"):
        b"".join(tar_stream(overlay_changes(str(step.upper), (), deferred=step.deferred)))


def test_a_source_that_becomes_a_pipe_or_shorter_is_told(step):
    file = step.source("tree/file")
    step.copy("tree")
    file.write_text("short")
    with pytest.raises(StepError, match="/app/file shrank while it was read"):
        b"".join(tar_stream(overlay_changes(str(step.upper), (), deferred=step.deferred)))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StepError, match="/app/file: it is no regular file any more"):
        b"".join(tar_stream(overlay_changes(str(step.upper), (), deferred=step.deferred)))


def test_the_root_that_was_copied_from_is_read_whatever_its_path_leads_to(step):
    step.source("tree/file", "right")
    step.copy("tree")
    os.rename(step.sources, f"{step.sources}-moved")
    step.source("tree/file", "wrong")
    assert step.layer()["app/file"] == (b"0", "right")
