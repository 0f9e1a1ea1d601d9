from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strake_builder.errors import StepError
from strake_builder.isolation.chroot import presented as module
from strake_builder.isolation.chroot.presented import presented, restore_all
from strake_builder.isolation.chroot.renamed import Renamed


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A container's root and a tree for it."""
    root, tree = tmp_path / "root", tmp_path / "work/tree"
    monkeypatch.setattr(module, "ASIDE", str(tmp_path / "aside"))
    for directory in (root / "etc", root / "proc", tree / "etc", tree / "usr/bin", tree / "proc"):
        directory.mkdir(parents=True)
    (root / "etc/resolv.conf").write_text("the container's")
    (root / "proc/version").write_text("the kernel's")
    (tree / "etc/passwd").write_text("the image's")
    return root, tree


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_the_step_sees_its_tree_and_the_containers_proc(container):
    root, tree = container
    before = listing(root), listing(tree)
    with presented(str(tree), (), Renamed(), pytest.fail, str(root)):
        assert listing(root) == ["etc", "etc/passwd", "proc", "proc/version", "usr", "usr/bin"]
    assert (listing(root), listing(tree)) == before


def test_what_a_step_makes_and_takes_away_at_the_top_is_the_trees(container):
    root, tree = container
    with presented(str(tree), (), Renamed(), pytest.fail, str(root)):
        (root / "made").write_text("new")
        (root / "usr/bin").rmdir()
        (root / "usr").rmdir()
    assert (tree / "made").read_text() == "new"
    assert not (tree / "usr").exists()
    assert listing(root) == ["etc", "etc/resolv.conf", "proc", "proc/version"]


def test_what_the_builder_works_with_stays_and_is_named(container):
    root, tree = container
    (root / "context").mkdir()
    warnings: list[str] = []
    with presented(str(tree), ("/context/src",), Renamed(), warnings.append, str(root)):
        assert (root / "context").is_dir()
    assert len(warnings) == 1
    assert "/context" in warnings[0]
    assert not (tree / "context").exists()


def test_a_tree_with_a_name_that_must_stay_is_refused_untouched(container):
    root, tree = container
    before = listing(root), listing(tree)
    with (
        pytest.raises(StepError, match="has /usr, and so has") as caught,
        presented(str(tree), ("/usr/src/app",), Renamed(), pytest.fail, str(root)),
    ):
        pytest.fail("it was presented")
    assert "/strake/usr" in caught.value.hint
    assert (listing(root), listing(tree)) == before


@pytest.fixture
def volume(container):
    """Something that stays at the container's root, where the tree has an empty directory."""
    root, tree = container
    (root / "data/inner").mkdir(parents=True)
    (root / "data/file").write_text("before")
    (tree / "data").mkdir(mode=0o755)
    return root / "data"


def shown(container, warnings):
    root, tree = container
    return presented(str(tree), ("/data",), Renamed(), warnings.append, str(root))


def test_an_empty_directory_shows_what_stays_there(container, volume):
    warnings: list[str] = []
    with shown(container, warnings):
        assert (volume / "file").read_text() == "before"
    assert "/data" in warnings[0]
    assert (container[1] / "data").is_dir()
    assert (volume / "file").read_text() == "before"


@pytest.mark.parametrize(
    "write",
    [
        lambda data: (data / "new").touch(),
        lambda data: (data / "inner/new").mkdir(),
        lambda data: (data / "file").write_text("after"),
        lambda data: (data / "file").unlink(),
        lambda data: (data / "inner").rmdir(),
        lambda data: (data / "inner").chmod(0o711),
    ],
    ids=["make", "make deeper", "write", "remove", "remove a directory", "change a mode"],
)
def test_a_step_that_writes_there_fails_and_all_is_restored(container, volume, write):
    root, tree = container
    missing = pytest.raises(StepError, match=r"the step wrote to /data.* would be missing")
    with missing as caught, shown(container, []):
        write(volume)
    assert "/strake/data" in caught.value.hint
    assert (root / "etc/resolv.conf").exists()
    assert (tree / "etc/passwd").exists()


def test_a_step_that_works_there_does_not_begin(container, volume):
    root, tree = container
    missing = pytest.raises(StepError, match="has /data, and so has")
    with missing, presented(str(tree), ("/data",), Renamed(), list[str]().append, str(root), "/data"):
        pytest.fail("it was presented")


def test_everybodys_directory_may_be_written_to(container, volume):
    (container[1] / "data").chmod(0o1777)
    with shown(container, []):
        (volume / "new").touch()
    assert os.listdir(container[1] / "data") == []


def test_a_step_that_fails_tells_its_own_failure(container, volume):
    with pytest.raises(NotADirectoryError), shown(container, []):
        (volume / "file/new").touch()


@pytest.mark.parametrize("kind", ["file", "link", "full"])
def test_anything_but_an_empty_directory_is_refused(container, volume, kind):
    hidden = container[1] / "data"
    if kind == "full":
        (hidden / "x").touch()
    else:
        hidden.rmdir()
        hidden.touch() if kind == "file" else hidden.symlink_to("etc")
    with pytest.raises(StepError, match="has /data, and so has"), shown(container, []):
        pytest.fail("it was presented")


def test_a_tree_with_the_builders_own_directory_is_refused(container):
    root, tree = container
    (tree / "strake").mkdir()
    with (
        pytest.raises(StepError, match="builder's own directory"),
        presented(str(tree), (), Renamed(), pytest.fail, str(root)),
    ):
        pytest.fail("it was presented")


def test_only_what_the_step_touched_has_changed(container):
    root, tree = container
    (tree / "run.sh").write_text("one")
    (tree / "other").write_text("one")
    renamed = Renamed()
    with presented(str(tree), (), renamed, pytest.fail, str(root)):
        (root / "run.sh").write_text("two")
    assert b"other" in renamed.untouched()
    assert b"run.sh" not in renamed.untouched()


def test_what_a_killed_builder_left_is_brought_back(container):
    root, tree = container
    before = listing(root), listing(tree)
    program = (
        "import os, sys\n"
        "from strake_builder.isolation.chroot import presented as module\n"
        "from strake_builder.isolation.chroot.renamed import Renamed\n"
        f"module.ASIDE = {module.ASIDE!r}\n"
        f"with module.presented({str(tree)!r}, (), Renamed(), print, {str(root)!r}):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert (root / "usr").exists()
    restore_all(str(root))
    assert (listing(root), listing(tree)) == before
    assert os.listdir(module.ASIDE) == ["lock"]


def test_a_small_directory_of_the_image_that_cannot_be_renamed_is_copied(container, monkeypatch):
    root, tree = container
    (root / "bin").mkdir()
    (root / "bin/sh").symlink_to("/strake/root/bin/sh")
    (tree / "bin").mkdir()
    (tree / "bin/own").touch()
    before = listing(root), listing(tree)
    real = os.rename

    def refused(source, target, **places):
        if os.fsdecode(source) == f"{root}/bin" and os.path.islink(os.path.join(os.fsdecode(source), "sh")):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target, **places)

    monkeypatch.setattr(os, "rename", refused)
    with presented(str(tree), (), Renamed(), pytest.fail, str(root)):
        assert os.listdir(root / "bin") == ["own"]
    assert (listing(root), listing(tree)) == before
    assert os.readlink(root / "bin/sh") == "/strake/root/bin/sh"
