"""Every loop over a tree, an archive or a file asks whether it is to stop, again and again."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strake_builder import interrupt
from strake_builder.errors import BuildCancelledError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.format import LayerFormat
from strake_builder.layers.pipeline import write_blob
from strake_builder.rootfs.copying.content_digest import FileDigests, content_digest
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.changes import overlay_changes
from strake_builder.rootfs.diff.differences import check_first_layer, write_differences
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.rootfs.diff.tree_state import record_tree
from strake_builder.rootfs.files.file_content import copy_content
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.spill.names import sorted_names
from strake_builder.rootfs.stack.materialise import apply_layer
from strake_builder.rootfs.unpack.archive import unpack_archive, unpack_layer
from strake_oci.read_ahead import ReadAhead
from strake_oci.spec.mediatype import Compression

MIB = 1 << 20
MANY = 50
"""Entries: each loop must ask at least once for each."""
LARGE = 64 * MIB


class Stop:
    """Stops at the nth look."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise BuildCancelledError("stopped by the test")


@pytest.fixture
def tree(tmp_path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    for number in range(MANY):
        (directory / f"{number}").write_text("x")
    return directory


@pytest.fixture
def large(tmp_path) -> Path:
    """One file, alone in its directory, of real data."""
    directory = tmp_path / "large"
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(MIB) * (LARGE // MIB))
    return directory


def archive(*sizes: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for number, size in enumerate(sizes):
            member = tarfile.TarInfo(f"member-{number}")
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    return made.getvalue()


def made(path: Path) -> str:
    path.mkdir()
    return str(path)


def copy(source: Path, tmp_path: Path) -> None:
    with Root(str(source)) as origin, Root(made(tmp_path / "copy")) as target:
        copy_path(origin, b"/", target, b"/", CopyOptions())


def copy_one(source: Path, tmp_path: Path) -> None:
    with Root(str(source)) as origin, Root(made(tmp_path / "copy")) as target:
        copy_path(origin, b"/file", target, b"/", CopyOptions())


def digest(source: Path, tmp_path: Path) -> None:
    files = FileDigests(str(tmp_path))
    with Root(str(source)) as origin:
        content_digest(origin, b"/", CopyOptions(), files)


def write_layer(source: Path, _: Path) -> None:
    write_blob(tar_stream(overlay_changes(str(source), ())), lambda _: None)


def compare_with_lower(source: Path, _: Path) -> None:
    list(overlay_changes(str(source), [str(source)]))


def apply(source: Path, tmp_path: Path) -> None:
    apply_layer(str(source), made(tmp_path / "copy"))


def record(source: Path, tmp_path: Path) -> None:
    record_tree(str(source), str(tmp_path)).close()


def find_differences(source: Path, tmp_path: Path) -> None:
    with record_tree(made(tmp_path / "before"), str(tmp_path)) as before:
        write_differences(str(source), before, made(tmp_path / "upper"), str(tmp_path)).close()


def check(source: Path, _: Path) -> None:
    check_first_layer(str(source))


def list_names(source: Path, tmp_path: Path) -> None:
    list(sorted_names(os.fsencode(source), str(tmp_path)))


@pytest.mark.parametrize(
    "work",
    [copy, digest, write_layer, compare_with_lower, apply, record, find_differences, check, list_names],
)
def test_every_entry_of_a_tree_is_a_place_to_stop(tree, tmp_path, work):
    with interrupt.interrupted_by(Stop(MANY - 1)), pytest.raises(BuildCancelledError):
        work(tree, tmp_path)


@pytest.mark.parametrize("work", [copy, copy_one, digest, write_layer, compare_with_lower, apply])
def test_a_large_file_is_left_in_the_middle(large, tmp_path, work):
    with interrupt.interrupted_by(Stop(7)), pytest.raises(BuildCancelledError):
        work(large, tmp_path)


@pytest.mark.parametrize("way", ["in the kernel", "piece by piece", "of no known size"])
def test_the_content_of_a_file_is_left_soon(large, tmp_path, monkeypatch, way):
    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    if way == "piece by piece":
        monkeypatch.setattr(os, "copy_file_range", refuse)
    target = tmp_path / "target"
    with open(large / "file", "rb") as reader, open(target, "wb") as writer:
        size = 0 if way == "of no known size" else LARGE
        with interrupt.interrupted_by(Stop(3)), pytest.raises(BuildCancelledError):
            copy_content(reader.fileno(), writer.fileno(), size)
    assert target.stat().st_size <= 4 * interrupt.PIECE


def test_a_file_of_many_small_runs_of_data(tmp_path):
    with open(tmp_path / "source", "wb") as file:
        for number in range(20):
            os.pwrite(file.fileno(), b"x" * 4096, number * MIB)
        file.truncate(20 * MIB)
    with (
        open(tmp_path / "source", "rb") as reader,
        open(tmp_path / "target", "wb") as writer,
        interrupt.interrupted_by(Stop(10)),
        pytest.raises(BuildCancelledError),
    ):
        copy_content(reader.fileno(), writer.fileno(), 20 * MIB)


def as_layer(data: bytes, tmp_path: Path) -> None:
    with ReadAhead(DecompressedStream(io.BytesIO(data))) as ahead:
        unpack_layer(ahead, made(tmp_path / "unpacked"), lowest=True)


def as_archive(data: bytes, tmp_path: Path) -> None:
    with Root(made(tmp_path / "unpacked")) as root:
        unpack_archive(DecompressedStream(io.BytesIO(data)), root)


@pytest.mark.parametrize("unpack", [as_layer, as_archive])
class TestUnpacking:
    def test_many_members(self, tmp_path, unpack):
        data = archive(*[0] * MANY)
        with interrupt.interrupted_by(Stop(MANY - 1)), pytest.raises(BuildCancelledError):
            unpack(data, tmp_path)
        assert len(os.listdir(tmp_path / "unpacked")) < MANY

    def test_a_large_member(self, tmp_path, unpack):
        data = archive(LARGE)
        with interrupt.interrupted_by(Stop(20)), pytest.raises(BuildCancelledError):
            unpack(data, tmp_path)
        assert (tmp_path / "unpacked/member-0").stat().st_size < LARGE // 2

    def test_a_stream_that_is_long_and_holds_nothing(self, tmp_path, unpack):
        """The thread that reads ahead must look, since the one that unpacks waits for it."""
        data = gzip.compress(archive(0)) + gzip.compress(b"") * (4 * MIB // 20)
        with interrupt.interrupted_by(Stop(12)), pytest.raises(BuildCancelledError):
            unpack(data, tmp_path)


def test_what_waits_to_be_compressed_is_left(tmp_path):
    """Each piece may be half a second of work at a high level; nobody waits for those in the queue."""
    written, go = [], threading.Event()

    def stream():
        yield bytes(8 * MIB)
        raise BuildCancelledError("stopped by the test")

    def write(data: bytes) -> None:
        go.wait(0.2)
        written.append(len(data))

    with pytest.raises(BuildCancelledError):
        write_blob(stream(), write, LayerFormat(Compression.NONE))
    assert len(written) < 8


class TestThreads:
    def test_a_check_holds_for_its_thread_and_its_context(self):
        stop = Stop(0)
        interrupt.check()
        with interrupt.interrupted_by(stop):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(interrupt.check).result()
            with pytest.raises(BuildCancelledError):
                interrupt.check()
        interrupt.check()

    def test_a_pool_is_stopped_as_a_whole(self):
        with ThreadPoolExecutor(2, "pool", interrupt.interrupt_thread, (Stop(0),)) as pool:
            for _ in range(4):
                with pytest.raises(BuildCancelledError):
                    pool.submit(interrupt.check).result()

    def test_inside_there_may_be_another(self):
        with interrupt.interrupted_by(Stop(0)):
            with interrupt.interrupted_by(Stop(1)):
                interrupt.check()
            with pytest.raises(BuildCancelledError):
                interrupt.check()
