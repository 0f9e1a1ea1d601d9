from __future__ import annotations

import os
from pathlib import Path

import pytest

from strake_builder.isolation.chroot import presented as module
from strake_builder.isolation.chroot.presented import presented, restore_all
from strake_builder.isolation.chroot.renamed import Renamed

AGENT = "/home/jenkins/agent/app"


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A container's root with a context below a directory that the tree has as well."""
    root, tree = tmp_path / "root", tmp_path / "work/tree"
    monkeypatch.setattr(module, "ASIDE", str(tmp_path / "aside"))
    (root / AGENT[1:]).mkdir(parents=True)
    (root / AGENT[1:] / "file").write_text("the context's")
    (tree / "home/node").mkdir(parents=True)
    os.utime(tree / "home", (1000, 1000))
    return root, tree


def shown(root: Path, tree: Path, path: str = AGENT):
    return presented(str(tree), (), Renamed(), pytest.fail, str(root), in_sight=(path,))


def test_a_path_leads_to_the_containers_where_the_tree_has_nothing(container):
    root, tree = container
    with shown(root, tree):
        assert sorted(os.listdir(root / "home")) == ["jenkins", "node"]
        assert (root / AGENT[1:] / "file").read_text() == "the context's"
        (root / "home/node/made").touch()
    assert os.listdir(tree / "home") == ["node"]
    assert (tree / "home/node/made").exists()
    assert (tree / "home").stat().st_mtime == 1000, "the layer does not show the link"
    assert (root / AGENT[1:] / "file").read_text() == "the context's"


def test_what_a_step_puts_there_is_the_images(container):
    root, tree = container
    with shown(root, tree):
        (root / "home/jenkins").unlink()
        (root / "home/jenkins").mkdir()
    assert (tree / "home/jenkins").is_dir()
    assert not (tree / "home/jenkins").is_symlink()
    assert (root / AGENT[1:] / "file").exists()


def test_what_a_step_removes_there_is_no_file_of_the_container(container):
    root, tree = container
    with shown(root, tree):
        os.unlink(root / "home/jenkins")  # as `rm -rf /home/*` does
    assert (root / AGENT[1:] / "file").exists()
    assert os.listdir(tree / "home") == ["node"]


@pytest.mark.parametrize("there", [AGENT[1:], "home/jenkins"])
def test_what_the_tree_has_is_not_touched(container, there):
    root, tree = container
    if there == AGENT[1:]:
        (tree / there).mkdir(parents=True)
    else:
        (tree / there).symlink_to("/etc")
    with shown(root, tree):
        assert not (root / AGENT[1:] / "file").exists()
        assert (root / there).is_symlink() == (there == "home/jenkins")
    assert (tree / there).exists() or (tree / there).is_symlink()


def test_a_name_at_the_root_that_the_tree_has_not_is_not_made(container):
    root, tree = container
    (root / "context/app").mkdir(parents=True)
    with shown(root, tree, "/context/app"):
        assert not (root / "context").exists()
    assert (root / "context/app").is_dir()
    assert not (tree / "context").exists()


def test_a_builder_that_was_killed_leaves_both_whole(container):
    root, tree = container
    presentation = shown(root, tree)
    presentation.__enter__()
    restore_all(str(root))
    assert (root / AGENT[1:] / "file").read_text() == "the context's"
    assert (tree / "home/node").is_dir()
    presentation.gen.close()
