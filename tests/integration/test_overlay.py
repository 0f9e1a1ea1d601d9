"""Snapshots on the kernel's own overlay: what a step did is what its layer says."""

from __future__ import annotations

import io
import os
import shutil
import tarfile

from strake_builder.rootfs.changes import tar_stream
from strake_builder.rootfs.overlay import Overlay
from strake_builder.rootfs.remove import remove_tree
from tests.fixtures.isolated import isolated


def layer_of(directory, below, act) -> list[tuple[str, int]]:
    """Mount `below`, let `act` change the root, and return the layer's members (name, mode)."""

    def work() -> list[tuple[str, int]]:
        overlay = Overlay(str(directory))
        try:
            with overlay.mounted(tuple(map(str, below)), "step") as snapshot:
                act(snapshot.root)
            data = b"".join(tar_stream(snapshot.changes()))
        finally:
            overlay.close()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return [(m.name, m.mode) for m in tar]

    return isolated(work)


def make_layer(path, **files: str):
    path.mkdir()
    for name, content in files.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return path


def names(members) -> list[str]:
    return [name for name, _ in members]


def work_directory(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_changed_file_comes_with_its_parents(tmp_path):
    base = make_layer(tmp_path / "base", a__b__f="1", a__g="2")

    def act(root):
        with open(f"{root}/a/b/f", "a") as file:
            file.write("more")

    assert names(layer_of(work_directory(tmp_path), [base], act)) == ["a", "a/b", "a/b/f"]


def test_what_is_as_it_was_is_no_change(tmp_path):
    base = make_layer(tmp_path / "base", a__f="1", b="2")

    def act(root):
        os.chown(f"{root}/a/f", 0, 0)
        os.chmod(f"{root}/b", os.stat(f"{root}/b").st_mode & 0o7777)
        (open(f"{root}/a/new", "w")).close()
        os.unlink(f"{root}/a/new")

    assert layer_of(work_directory(tmp_path), [base], act) == []


def test_the_same_size_and_time_with_another_content_is_a_change(tmp_path):
    base = make_layer(tmp_path / "base", f="aaaa")
    os.utime(base / "f", (5, 5))

    def act(root):
        with open(f"{root}/f", "w") as file:
            file.write("bbbb")
        os.utime(f"{root}/f", (5, 5))

    assert names(layer_of(work_directory(tmp_path), [base], act)) == ["f"]


def test_removals_are_whiteouts_of_what_was_there(tmp_path):
    base = make_layer(tmp_path / "base", d__f="1", d__g="2", e__h="3")

    def act(root):
        os.unlink(f"{root}/d/f")
        shutil.rmtree(f"{root}/e")
        with open(f"{root}/temporary", "w"):
            pass
        os.unlink(f"{root}/temporary")

    assert names(layer_of(work_directory(tmp_path), [base], act)) == ["d", "d/.wh.f", ".wh.e"]


def test_a_directory_made_anew_hides_the_old_one(tmp_path):
    base = make_layer(tmp_path / "base", d__old="1")

    def act(root):
        shutil.rmtree(f"{root}/d")
        os.mkdir(f"{root}/d")
        with open(f"{root}/d/new", "w"):
            pass

    assert names(layer_of(work_directory(tmp_path), [base], act)) == ["d", "d/.wh..wh..opq", "d/new"]


def test_a_mode_change_of_a_directory_is_a_change(tmp_path):
    base = make_layer(tmp_path / "base", d__f="1")
    assert layer_of(work_directory(tmp_path), [base], lambda root: os.chmod(f"{root}/d", 0o711)) == [
        ("d", 0o711)
    ]


def test_comparison_looks_through_all_layers(tmp_path):
    low = make_layer(tmp_path / "low", d__f="1", d__g="1")
    high = make_layer(tmp_path / "high", other="x")

    def act(root):
        os.chown(f"{root}/d/f", 0, 0)
        with open(f"{root}/d/g", "w") as file:
            file.write("2")

    assert names(layer_of(work_directory(tmp_path), [low, high], act)) == ["d", "d/g"]


def test_more_than_a_hundred_layers_are_mounted(tmp_path):
    layers = [make_layer(tmp_path / f"layer-{n}", **{f"f{n}": str(n)}) for n in range(120)]
    seen = layer_of(
        work_directory(tmp_path), layers, lambda root: os.mkdir(f"{root}/{len(os.listdir(root))}")
    )
    assert names(seen) == ["120"]


def test_nothing_below_is_an_empty_root(tmp_path):
    assert (
        layer_of(
            work_directory(tmp_path), [], lambda root: os.rmdir(root + "/x") if os.listdir(root) else None
        )
        == []
    )


def test_colons_and_commas_in_the_path_do_no_harm(tmp_path):
    odd = tmp_path / "a:b,c\\d"
    odd.mkdir()
    base = make_layer(odd / "base", f="1")
    assert names(layer_of(work_directory(odd), [base], lambda root: os.mkdir(f"{root}/d"))) == ["d"]


def test_the_cost_of_a_snapshot_is_the_change(tmp_path, monkeypatch):
    """However large the image, only what the step touched is looked at."""
    base = make_layer(tmp_path / "base", f="1")
    for number in range(3000):
        (base / f"many{number}").touch()
    listed = []
    real = os.scandir

    def counting(path):
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", counting)

    def work() -> int:
        overlay = Overlay(str(tmp_path / "work"))
        try:
            with overlay.mounted((str(base),), "step") as snapshot:
                os.mkdir(f"{snapshot.root}/new")
            listed.clear()
            return len(list(snapshot.changes())) * 1000 + len(listed)
        finally:
            overlay.close()

    (tmp_path / "work").mkdir()
    assert isolated(work) == 1002
    remove_tree(str(base))
