"""Recipes: keyed by what they are made of, made once, whole or not there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tarfile
import threading

import pytest

from strake_oci.spec.manifest import Manifest, parse
from strake_oci.stores.layout import Layout
from tests.fixtures.narrow import instance
from tests.images.layouts import image_layout
from tests.images.recipes import RECIPES


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "strake/images"


def members(layout):
    images = Layout(layout)
    manifest = parse(images.manifest(images.resolve("latest")))
    with (
        images.open_blob(instance(manifest, Manifest).layers[0]) as blob,
        tarfile.open(fileobj=blob, mode="r|gz") as tar,
    ):
        return {member.name: member for member in tar}


def test_tiny_is_what_the_reference_results_stand_on(cache):
    found = members(image_layout("tiny"))
    assert found["bin/sh"].issym()
    assert found["bin/sh"].linkname.endswith("busybox")
    assert found["tmp"].mode == 0o1777
    assert {"root", "home", "etc/passwd", "etc/group"} <= found.keys()
    assert not [member for member in found.values() if member.uid or member.gid]


def test_the_same_recipe_gives_the_same_bytes(cache, monkeypatch, tmp_path):
    first = Layout(image_layout("tiny")).resolve("latest").digest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert Layout(image_layout("tiny")).resolve("latest").digest == first


def test_the_key_follows_the_content():
    recipe = RECIPES["tiny"]
    other = dataclasses.replace(recipe, inputs=lambda: b"another busybox")
    another = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, cmd=("ash",)))
    assert len({recipe.key(), other.key(), another.key()}) == 3


def test_two_makers_make_it_once(cache, monkeypatch):
    made = []
    recipe = RECIPES["pause"]

    def write(path):
        made.append(path)
        recipe.write(path)

    monkeypatch.setitem(RECIPES, "pause", dataclasses.replace(recipe, write=write))
    threads = [threading.Thread(target=image_layout, args=("pause",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_maker_that_fails_leaves_nothing(cache, monkeypatch):
    def write(path):
        path.write_bytes(b"half")
        raise RuntimeError("out of luck")

    monkeypatch.setitem(RECIPES, "pause", dataclasses.replace(RECIPES["pause"], write=write))
    with pytest.raises(RuntimeError, match="luck"):
        image_layout("pause")
    assert [path.name for path in cache.iterdir()] == ["pause.lock"]


def test_trust_is_added_and_nothing_else(tmp_path):
    """A root that knows every certificate of the machine is left as it is."""
    bundle = tmp_path / "root/etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    subprocess.run([sys.executable, "tests/images/trust.py", bundle, tmp_path / "root"], check=True)
    assert not (tmp_path / "root/usr").exists()
