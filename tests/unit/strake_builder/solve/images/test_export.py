"""Layers in the background: one that nobody wants any more is not written to its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from strake_builder.errors import BuildCancelledError, OutOfDiskError
from strake_builder.layers.format import LayerFormat
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.files.remove import start_removal
from strake_builder.solve.images.export import LayerExporter
from strake_builder.solve.workspace import discarded
from strake_oci.cancellation import Cancellation
from strake_oci.spec.mediatype import Compression

PLAIN = LayerFormat(Compression.NONE)


@pytest.fixture
def upper(tmp_path):
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


def exporter(
    tmp_path, pool, cancellation, until=None, *, discards=False, until_closed=lambda _: None
) -> LayerExporter:
    (tmp_path / "blobs").mkdir(exist_ok=True)
    workspace: Any = SimpleNamespace(
        path=str(tmp_path),
        directory=lambda _: str(tmp_path / "blobs"),
        new_name=lambda kind: kind,
        until_closed=until_closed,
    )
    return LayerExporter(workspace, pool, cancellation, None, PLAIN, until, discards=discards)


def snapshot(upper) -> Snapshot:
    return Snapshot("", str(upper), ())


def test_a_stop_ends_a_layer_that_is_being_written(tmp_path, upper):
    size = 8 << 30
    with open(upper / "zeros", "wb") as file:
        file.truncate(size)
    cancellation = Cancellation()
    with ThreadPoolExecutor(1) as pool:
        future = exporter(tmp_path, pool, cancellation).export(snapshot(upper))
        written = tmp_path / "blobs/layer"
        while not (written.exists() and written.stat().st_size):
            assert not future.done()
        cancellation.cancel(BuildCancelledError("stopped by SIGTERM"))
        with pytest.raises(BuildCancelledError):
            future.result()
    assert written.stat().st_size < size


def test_a_failed_step_does_not_end_a_layer_that_a_cache_wants(tmp_path, upper):
    (upper / "file").write_bytes(os.urandom(3 << 20))
    whole = Cancellation()
    attempt = Cancellation(whole)
    attempt.cancel(OutOfDiskError("a step failed"))
    with ThreadPoolExecutor(1) as pool:
        layer = exporter(tmp_path, pool, attempt, whole).export(snapshot(upper)).result()
    assert layer is not None
    assert layer.descriptor.size == os.path.getsize(layer.path) > 3 << 20


def test_a_step_that_changed_nothing_has_no_layer(tmp_path, upper):
    with ThreadPoolExecutor(1) as pool:
        assert exporter(tmp_path, pool, Cancellation()).export(snapshot(upper)).result() is None


@pytest.mark.parametrize(
    ("discards", "last", "stays"), [(True, True, False), (True, False, True), (False, True, True)]
)
def test_only_the_last_layer_is_discarded_while_it_is_written(tmp_path, upper, discards, last, stays):
    """A step that follows, a stage that copies from it, a cache: each reads the directory again."""
    directory = upper / "many"
    directory.mkdir()
    for number in range(3000):
        (directory / str(number)).touch()
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as closed:
        layers = exporter(tmp_path, pool, Cancellation(), discards=discards, until_closed=closed.callback)
        assert layers.export(snapshot(upper), last=last).result() is not None
        if not stays:
            await_gone(directory)
    assert directory.exists() == stays


def await_gone(path: Path) -> None:
    deadline = time.monotonic() + 180
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is not removed"
        time.sleep(0.01)  # another program removes it


@pytest.fixture
def lower(tmp_path):
    """Return a lower layer, of which the upper directory changes one directory."""
    for name in ("usr", "app", "var"):
        (tmp_path / "lower" / name).mkdir(parents=True)
        (tmp_path / "lower" / name / "file").write_text(name)
    return tmp_path / "lower"


def test_what_the_last_layer_is_not_compared_with_goes_while_it_is_written(tmp_path, upper, lower):
    (upper / "app").mkdir()
    (upper / "app/new").write_text("new")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-cache"
    (elsewhere / "usr").mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as closed:
        layers = exporter(tmp_path, pool, Cancellation(), discards=True, until_closed=closed.callback)
        taken = Snapshot("", str(upper), (str(lower), str(elsewhere)))
        assert layers.export(taken, last=True).result() is not None
        for name in ("usr", "var"):
            await_gone(lower / name)
    assert (lower / "app/file").read_text() == "app"
    assert (elsewhere / "usr").exists(), "a layer of another build is not ours to remove"


class Slow(Snapshot):
    """A snapshot whose changes come when another layer is written."""

    other = threading.Event()

    def changes(self, *options):
        assert self.other.wait(180)
        return super().changes(*options)


def test_a_layer_that_is_still_written_is_compared_with_all_of_its_lower_layers(
    tmp_path, upper, lower, monkeypatch
):
    """It is unchanged only as long as what it is compared with is there."""
    remove = start_removal

    def removed(paths: list[bytes]) -> subprocess.Popen[bytes]:
        program = remove(paths)
        program.wait(180)
        return program

    monkeypatch.setattr(discarded, "start_removal", removed)
    (upper / "usr").mkdir()
    shutil.copystat(lower / "usr", upper / "usr")
    shutil.copy2(lower / "usr/file", upper / "usr/file")
    (tmp_path / "last/app").mkdir(parents=True)
    (tmp_path / "last/app/new").write_text("new")
    last = Snapshot("", str(tmp_path / "last"), (str(lower),))
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as closed:
        layers = exporter(tmp_path, pool, Cancellation(), discards=True, until_closed=closed.callback)
        unchanged = layers.export(Slow("", str(upper), (str(lower),)))
        assert layers.export(last, last=True).result() is not None
        Slow.other.set()
        assert unchanged.result() is None
