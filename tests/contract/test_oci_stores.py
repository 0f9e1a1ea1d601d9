"""What every store of images must do: registries, layouts, archives, memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import replace

import pytest

from strake_oci.errors import MirrorError, OCIError
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Repository
from strake_oci.spec.wire import MAX_MANIFEST
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.archive_reader import LayoutArchive
from strake_oci.stores.layout import Layout
from strake_oci.stores.memory import MemoryImages
from strake_oci.transfers.copying import copy_image
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.content.images import make_image, make_index
from tests.fixtures.servers.registry import running_registry


@contextlib.contextmanager
def in_registry(_tmp_path, program="docker-registry"):
    with running_registry(program=program) as running, running.client() as client:
        yield RegistryImages(client, running.repository("team/app"))


@contextlib.contextmanager
def in_current_registry(tmp_path):
    with in_registry(tmp_path, distribution()) as images:
        yield images


@contextlib.contextmanager
def in_layout(tmp_path):
    yield Layout(tmp_path / "layout", create=True)


@contextlib.contextmanager
def in_memory(_tmp_path):
    yield MemoryImages()


class Archive:
    """An archive that is written until it is read for the first time."""

    def __init__(self, path, *, docker):
        self.path = path
        self.file = path.open("wb")
        self.writer = ArchiveWriter(self.file, docker=docker, spool=path.parent)
        self.reader = None

    def __getattr__(self, name):
        if name in {"has_blob", "push_blob", "start_upload", "push_manifest"}:
            return getattr(self.writer, name)
        if self.reader is None:
            self.writer.close()
            self.file.close()
            self.reader = LayoutArchive(self.path)
        return getattr(self.reader, name)


@contextlib.contextmanager
def in_archive(tmp_path):
    archive = Archive(tmp_path / "image.tar", docker=False)
    yield archive
    archive.file.close()


@pytest.fixture(params=[in_registry, in_current_registry, in_layout, in_memory, in_archive])
def store(request, tmp_path):
    with request.param(tmp_path) as made:
        yield made


def test_image_comes_back_as_it_was_written(store):
    image = make_image()
    image.write(store, "v1")
    found = store.resolve("v1")
    assert found == image.descriptor
    assert store.manifest(found) == image.data
    for descriptor, data in image.blobs:
        with store.open_blob(descriptor) as blob:
            assert blob.read() == data


def test_empty_blob(store):
    empty = Descriptor.of("application/octet-stream", b"")
    store.push_blob(empty, io.BytesIO)
    with store.open_blob(empty) as blob:
        assert blob.read(10) == b""


def test_digest_names_an_image(store):
    image = make_image(b"layer")
    image.write(store, "v1")
    assert store.resolve(str(image.descriptor.digest)).digest == image.descriptor.digest


def test_tag_moves(store):
    first, second = make_image(b"one"), make_image(b"two")
    first.write(store, "v1")
    second.write(store, "v1")
    assert store.resolve("v1") == second.descriptor
    assert store.resolve(str(first.descriptor.digest)).digest == first.descriptor.digest


def test_absent_things_are_errors(store):
    make_image(b"layer").write(store, "v1")
    nothing = Descriptor.of("application/octet-stream", b"never written")
    assert not store.has_blob(nothing.digest)
    with pytest.raises(OCIError):
        store.resolve("v2")
    with pytest.raises(OCIError), store.open_blob(nothing) as blob:
        blob.read()
    with pytest.raises(OCIError):
        store.manifest(nothing)


def test_blob_is_written_once(store):
    data = os.urandom(1000)
    descriptor = Descriptor.of("application/octet-stream", data)
    assert store.push_blob(descriptor, lambda: io.BytesIO(data))
    assert not store.push_blob(descriptor, lambda: io.BytesIO(data))
    assert store.has_blob(descriptor.digest)


def test_source_that_is_not_what_it_should_be(store):
    data = os.urandom(1000)
    descriptor = Descriptor.of("application/octet-stream", data)
    for wrong in (data[:-1], bytes([data[0] ^ 1]) + data[1:]):
        with pytest.raises(OCIError):
            store.push_blob(descriptor, lambda wrong=wrong: io.BytesIO(wrong))
        assert not store.has_blob(descriptor.digest)


def test_source_that_a_mirror_spoiled_is_read_again(store):
    data = os.urandom(1000)
    descriptor = Descriptor.of("application/octet-stream", data)
    counted: list[int] = []
    opened: list[bool] = []

    def open_source():
        opened.append(True)
        return SpoiledAtFirst(data) if len(opened) == 1 else io.BytesIO(data)

    assert store.push_blob(descriptor, open_source, counted.append)
    assert len(opened) == 2
    assert sum(counted) == len(data)
    with store.open_blob(descriptor) as blob:
        assert blob.read() == data


class SpoiledAtFirst(io.BytesIO):
    """Content of a mirror that turns out, at its end, not to be what it should be."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 500:
            raise MirrorError(OCIError("it is something else"), [Repository.parse("mirror.example/app")])
        return super().read(500)


def test_manifest_that_is_too_long_is_not_read(store):
    data = bytes(MAX_MANIFEST + 1)
    descriptor = Descriptor.of("application/octet-stream", data)
    store.push_blob(descriptor, lambda: io.BytesIO(data))
    with pytest.raises(OCIError):
        store.manifest(descriptor)


def test_manifest_of_another_size_than_its_descriptors(store):
    image = make_image(b"layer")
    image.write(store, "v1")
    with pytest.raises(OCIError, match="bytes, expected"):
        store.manifest(replace(image.descriptor, size=image.descriptor.size + 1))


@pytest.mark.parametrize("size", [0, 10, 300_000, 5_000_000])
def test_stream_of_unknown_length(store, size):
    data = os.urandom(size)
    counted: list[int] = []
    with store.start_upload(counted.append) as upload:
        for start in range(0, size, 70_000):
            upload.write(data[start : start + 70_000])
        descriptor = upload.commit(Digest.sha256(data), "application/x-test")
    assert descriptor == Descriptor.of("application/x-test", data)
    assert sum(counted) == size
    with store.open_blob(descriptor) as blob:
        assert blob.read() == data


def test_stream_with_the_wrong_digest(store):
    wrong = Digest.sha256(b"something else")
    with store.start_upload() as upload:
        upload.write(b"content")
        with pytest.raises(OCIError):
            upload.commit(wrong)
    assert not store.has_blob(wrong)


def test_stream_given_up_leaves_nothing(store):
    data = os.urandom(3_000_000)
    with store.start_upload() as upload:
        upload.write(data)
    assert not store.has_blob(Digest.sha256(data))


def test_reader_serves_small_reads(store):
    data = os.urandom(10_000)
    descriptor = Descriptor.of("application/octet-stream", data)
    store.push_blob(descriptor, lambda: io.BytesIO(data))
    counted: list[int] = []
    with store.open_blob(descriptor, counted.append) as blob:
        assert b"".join(iter(lambda: blob.read(7), b"")) == data
        assert blob.read(7) == b""
    assert sum(counted) == len(data)


def test_index_is_copied_whole(store):
    index = make_index("linux/amd64", "linux/arm64", "linux/arm/v7")
    source = MemoryImages()
    index.write(source, "all")
    assert copy_image(source, "all", store, "copied") == index.descriptor
    back = MemoryImages()
    copy_image(store, "copied", back, "back")
    for descriptor, data in index.all_blobs:
        with back.open_blob(descriptor) as blob:
            assert blob.read() == data


def test_one_platform_of_an_index(store):
    index = make_index("linux/amd64", "linux/arm64")
    source = MemoryImages()
    index.write(source, "all")
    copied = copy_image(source, "all", store, "arm", platform=Platform.parse("linux/arm64"))
    assert copied == index.children[1].descriptor
    assert not store.has_blob(index.children[0].blobs[1][0].digest)


def test_docker_image_keeps_its_kind(store):
    image = make_image(b"layer", docker=True)
    source = MemoryImages()
    image.write(source, "d")
    copy_image(source, "d", store, "d")
    assert store.resolve("d") == image.descriptor


def test_sha512_names_content_too(store):
    data = os.urandom(1000)
    digest = Digest.parse("sha512:" + hashlib.sha512(data).hexdigest())
    descriptor = Descriptor("application/octet-stream", digest, len(data))
    assert store.push_blob(descriptor, lambda: io.BytesIO(data))
    with store.start_upload() as upload:
        upload.write(b"something else")
        with pytest.raises(OCIError):
            upload.commit(digest.of(b"another thing"))
    with store.open_blob(descriptor) as blob:
        assert blob.read() == data
