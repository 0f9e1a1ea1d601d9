"""What is overlay's own; what every backend does is in tests/contract/test_rootfs_backends.py."""

from __future__ import annotations

import os

from strake_builder.rootfs.backends.overlay import Overlay
from strake_builder.rootfs.files.remove import remove_tree
from tests.fixtures.building.isolated import isolated
from tests.fixtures.content.snapshots import layer_of, make_layer, names


def work_directory(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_more_than_a_hundred_layers_are_mounted(tmp_path):
    layers = [make_layer(tmp_path / f"layer-{n}", **{f"f{n}": str(n)}) for n in range(120)]
    work = work_directory(tmp_path)
    seen = layer_of("overlay", work, layers, lambda root: os.mkdir(f"{root}/{len(os.listdir(root))}"))
    assert names(seen) == ["120"]


def test_colons_and_commas_in_the_path_do_no_harm(tmp_path):
    odd = tmp_path / "a:b,c\\d"
    odd.mkdir()
    base = make_layer(odd / "base", f="1")
    assert names(layer_of("overlay", work_directory(odd), [base], lambda root: os.mkdir(f"{root}/d"))) == [
        "d"
    ]


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
