"""Work that is begun after the build was stopped does nothing: the first look ends it, with the reason."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from strake_builder import interrupt
from strake_builder.context.download import check_file
from strake_builder.errors import BuildCancelledError
from strake_builder.layers.hashed import HashedStream
from strake_builder.rootfs.copying.content_digest import FileDigests, content_digest
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.diff.tree_state import record_tree
from strake_builder.rootfs.files.file_content import copy_content
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.stack.materialise import apply_layer
from strake_builder.rootfs.unpack.archive import unpack_archive, unpack_layer
from strake_builder.solve.fetching.remote import RemoteFile
from strake_builder.solve.steps.file_origins import belongs_to_root
from strake_oci.cancellation import Cancellation


@pytest.fixture
def tree(tmp_path):
    """A tree with an ordinary file and one of which most is a hole."""
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/f").write_bytes(b"x" * 3_000_000)
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"x")
    return tree


def archive() -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a", "b"):
            info = tarfile.TarInfo(name)
            info.size = 3_000_000
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    buffer.seek(0)
    return buffer


def copy(tree, out) -> None:
    with Root(str(tree)) as source, Root(str(out)) as target:
        copy_path(source, b"/", target, b"/", CopyOptions())


def copy_one_file(tree, out) -> None:
    with (tree / "d/f").open("rb") as reader, (out / "f").open("wb") as writer:
        copy_content(reader.fileno(), writer.fileno(), 3_000_000)


def copy_a_sparse_file(tree, out) -> None:
    with (tree / "sparse").open("rb") as reader, (out / "f").open("wb") as writer:
        copy_content(reader.fileno(), writer.fileno(), 1 << 40)


def copy_what_tells_no_size(tree, out) -> None:
    with (tree / "d/f").open("rb") as reader, (out / "f").open("wb") as writer:
        copy_content(reader.fileno(), writer.fileno(), 0)


def digest(tree, out) -> None:
    with Root(str(tree)) as source:
        content_digest(source, b"/", CopyOptions(), FileDigests(str(out)))


def digest_of_one_file(tree, out) -> None:
    with (tree / "sparse").open("rb") as file:  # a tebibyte
        FileDigests(str(out)).of(file.fileno(), os.fstat(file.fileno()))


def unpack(tree, out) -> None:
    unpack_layer(archive(), str(out), lowest=True)


def add(tree, out) -> None:
    with Root(str(out)) as target:
        unpack_archive(archive(), target)


def stack(tree, out) -> None:
    apply_layer(str(tree), str(out))


def look(tree, out) -> None:
    record_tree(str(tree), str(out)).close()


def owners(tree, out) -> None:
    belongs_to_root(str(tree))


def checksum_of_a_download(tree, out) -> None:
    check_file("https://example.com/f", str(tree / "sparse"), None)


def digest_of_a_download(tree, out) -> None:
    RemoteFile(str(tree), "sparse", 0).sha256()


def whatever_is_hashed_on_its_way(tree, out) -> None:
    with (tree / "sparse").open("rb") as file:
        stream = HashedStream(file)
        while stream.read(1 << 20):
            pass


LOOPS = [
    copy, copy_one_file, copy_a_sparse_file, copy_what_tells_no_size, digest, digest_of_one_file,
    unpack, add, stack, look, owners,
    checksum_of_a_download, digest_of_a_download, whatever_is_hashed_on_its_way,
]  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_a_stopped_loop_ends(tree, tmp_path, loop):
    out = tmp_path / "out"
    out.mkdir()
    cancellation, reason = Cancellation(), BuildCancelledError("stopped by SIGTERM")
    cancellation.cancel(reason)
    with interrupt.interrupted_by(cancellation.check), pytest.raises(BuildCancelledError) as raised:
        loop(tree, out)
    assert raised.value is reason
    assert sum(entry.stat().st_blocks * 512 for entry in out.rglob("*") if entry.is_file()) <= 64 << 20
