"""What copying promises beyond moving bytes: order, limits, and that a failure leaves no half image."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from strake_oci.errors import InvalidDocumentError, LayoutError, PlatformNotFoundError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.layout import Layout
from strake_oci.stores.layout_index import blob_path
from strake_oci.stores.memory import MemoryImages
from strake_oci.transfers import copying
from strake_oci.transfers.copying import PARALLEL_MANIFESTS, copy_image
from tests.fixtures.content.images import make_image, make_index
from tests.fixtures.narrow import instance


class Recording(MemoryImages):
    """Remembers in which order things were written."""

    def __init__(self):
        super().__init__()
        self.order = []

    def push_blob(self, descriptor, *rest):
        self.order.append(descriptor.digest)
        return super().push_blob(descriptor, *rest)

    def push_manifest(self, data, media_type, tag=None):
        self.order.append(Digest.sha256(data))
        return super().push_manifest(data, media_type, tag)


def test_everything_comes_before_what_refers_to_it():
    index = make_index("linux/amd64", "linux/arm64")
    source, target = MemoryImages(), Recording()
    index.write(source, "v1")
    counted: list[int] = []
    copy_image(source, "v1", target, "v1", on_bytes=counted.append)
    positions = {digest: position for position, digest in enumerate(target.order)}
    for child in index.children:
        assert positions[child.descriptor.digest] < positions[index.descriptor.digest]
        assert all(positions[blob.digest] < positions[child.descriptor.digest] for blob, _ in child.blobs)
    assert sum(counted) == sum(len(data) for _, data in index.all_blobs)


def test_failure_leaves_no_tag():
    image = make_image()
    source, target = MemoryImages(), MemoryImages()
    image.write(source, "v1")
    lost = image.blobs[1][0].digest
    del source._files[blob_path(lost)]
    with pytest.raises(LayoutError, match=lost.encoded):
        copy_image(source, "v1", target, "v1")
    with pytest.raises(LayoutError):
        target.resolve("v1")


def test_platform_that_is_not_there():
    source = MemoryImages()
    make_index("linux/amd64").write(source, "v1")
    with pytest.raises(PlatformNotFoundError, match="there is linux/amd64"):
        copy_image(source, "v1", MemoryImages(), platform=Platform.parse("linux/s390x"))


def test_indexes_within_indexes_have_an_end():
    source = MemoryImages()
    descriptor = source.push_manifest(Index(()).serialize(), Index(()).media_type)
    for _ in range(10):
        data = Index((descriptor,)).serialize()
        descriptor = source.push_manifest(data, Index(()).media_type, "deep")
    with pytest.raises(InvalidDocumentError, match="nested"):
        copy_image(source, "deep", MemoryImages())


def test_an_index_cannot_fill_the_memory():
    source = MemoryImages()
    listed = []
    for number in range(12):
        note = {"padding": str(number) + "x" * 3_900_000}
        child = Index((), annotations=note)
        listed.append(source.push_manifest(child.serialize(), child.media_type))
    source.push_manifest(Index(tuple(listed)).serialize(), Index(()).media_type, "large")
    with pytest.raises(InvalidDocumentError, match="lists too much"):
        copy_image(source, "large", MemoryImages())


def test_an_index_that_says_it_is_large_is_not_read():
    source = MemoryImages()
    data = Index((Descriptor(Index(()).media_type, Digest.sha256(b"?"), 33 << 20),)).serialize()
    source.push_manifest(data, Index(()).media_type, "large")
    with pytest.raises(InvalidDocumentError, match="lists too much"):
        copy_image(source, "large", MemoryImages())


class Slow(MemoryImages):
    """Notes how many manifests are read at a time, and keeps each until so many others are wanted."""

    def __init__(self, at_once):
        super().__init__()
        self.read = []
        self._together = threading.Barrier(at_once)

    def manifest(self, descriptor):
        self.read.append(descriptor.digest)
        if descriptor.platform is not None:
            self._together.wait(10)
        return super().manifest(descriptor)


def test_the_manifests_of_an_index_are_read_side_by_side_and_once():
    index = make_index(*["linux/amd64"] * PARALLEL_MANIFESTS * 2)
    source, target = Slow(PARALLEL_MANIFESTS), MemoryImages()
    index.write(source, "v1")
    again = Index(
        (*instance(parse(index.data), Index).manifests, index.descriptor)
    )  # lists the same in two places
    source.push_manifest(again.serialize(), again.media_type, "twice")
    copied = copy_image(source, "twice", target, "v1")
    assert target.resolve("v1") == copied
    assert len(source.read) == len(set(source.read)) == len(index.children) + 2


def test_an_index_in_an_index_comes_before_it_wherever_it_is_listed():
    inner = make_index("linux/amd64")
    source, target = MemoryImages(), Recording()
    inner.write(source, None)
    image = inner.children[0].descriptor
    middle = Index((inner.descriptor,))
    middle_is = source.push_manifest(middle.serialize(), middle.media_type)
    outer = Index((inner.descriptor, image, middle_is))
    top = source.push_manifest(outer.serialize(), outer.media_type, "v1")
    copy_image(source, "v1", target, "v1")
    positions = {digest: position for position, digest in enumerate(target.order)}
    order = [each.digest for each in (image, inner.descriptor, middle_is, top)]
    assert order == sorted(order, key=positions.__getitem__)


def test_a_platform_is_not_looked_for_without_end():
    source = MemoryImages()
    platform = Platform.parse("linux/amd64")
    descriptor = make_image().descriptor
    for _ in range(10):
        index = Index((replace(descriptor, platform=platform),))
        descriptor = source.push_manifest(index.serialize(), index.media_type, "deep")
    with pytest.raises(InvalidDocumentError, match="nested"):
        copy_image(source, "deep", MemoryImages(), platform=platform)


def test_a_manifest_that_cannot_be_had_ends_the_copy():
    index = make_index("linux/amd64", "linux/arm64", "linux/s390x")
    source, target, stopped = MemoryImages(), MemoryImages(), []
    index.write(source, "v1")
    lost = index.children[1].descriptor.digest
    del source._files[blob_path(lost)]
    with pytest.raises(LayoutError, match=lost.encoded):
        copy_image(source, "v1", target, "v1", on_failure=lambda: stopped.append(True))
    assert stopped
    assert list(target._files) == ["index.json"]


def test_layers_kept_elsewhere_are_not_copied():
    image = make_image(b"layer")
    foreign = Descriptor(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        Digest.sha256(b"?"),
        1,
        ("https://x.io/layer",),
    )
    manifest = Manifest(image.blobs[0][0], (foreign, image.blobs[1][0]))
    source, target = MemoryImages(), MemoryImages()
    image.write(source, None)
    source.push_manifest(manifest.serialize(), manifest.media_type, "v1")
    copy_image(source, "v1", target, "v1")
    assert not target.has_blob(foreign.digest)


def test_layout_may_be_tagged_by_many_at_once(tmp_path):
    Layout(tmp_path, create=True)
    images = [make_image(bytes([number])) for number in range(12)]

    def write(number):
        images[number].write(Layout(tmp_path), f"v{number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(12)))
    assert sorted(Layout(tmp_path).tags()) == sorted(f"v{number}" for number in range(12))
    assert not list(tmp_path.rglob(".upload-*"))
    assert not list(tmp_path.rglob(".new-*"))


def test_layout_names_what_there_is(tmp_path):
    layout = Layout(tmp_path, create=True)
    with pytest.raises(LayoutError, match="no image"):
        layout.resolve()
    image, other = make_image(b"one"), make_image(b"two")
    image.write(layout, "example.com/team/app:v1")
    assert (
        layout.resolve()
        == layout.resolve("v1")
        == layout.resolve("example.com/team/app:v1")
        == image.descriptor
    )
    other.write(layout, "v2")
    with pytest.raises(LayoutError, match="several images; name one; there is v1, v2"):
        layout.resolve()
    with pytest.raises(LayoutError, match="no image 'v3'; there is v1, v2"):
        layout.resolve("v3")


def test_same_tag_of_two_repositories_in_one_archive(tmp_path):
    layout = Layout(tmp_path, create=True)
    one, two = make_image(b"one"), make_image(b"two")
    one.write(layout, "a.io/one:v1")
    two.write(layout, "a.io/two:v1")
    assert layout.resolve("a.io/one:v1") == one.descriptor
    assert layout.resolve("a.io/two:v1") == two.descriptor


def test_full_disk_is_an_error_of_ours():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(LayoutError, match="cannot be written"):
        make_image(b"x").write(ArchiveWriter(full), "v1")


def test_descriptor_that_lies_about_a_manifest():
    source = MemoryImages()
    image = make_image(b"x")
    image.write(source, "v1")
    source._list(replace(image.descriptor, size=image.descriptor.size + 1), image.data, "v1")
    with pytest.raises(Exception, match="bytes, expected"):
        copy_image(source, "v1", MemoryImages())


def test_of_large_blobs_few_are_on_their_way_at_a_time(monkeypatch):
    """Small ones overtake them; all together are no more than they may be."""
    monkeypatch.setattr(copying, "_LARGE", 100_000)
    image = make_image(*(bytes([n]) * 100_000 for n in range(12)), *(bytes([n]) * 500 for n in range(12)))
    large, under_way, most, lock = [0], [0], [], threading.Lock()

    class Watched(MemoryImages):
        def push_blob(self, descriptor, *rest):
            is_large = descriptor.size >= 100_000
            with lock:
                large[0] += is_large
                under_way[0] += 1
                most.append((large[0], under_way[0]))
            try:
                return super().push_blob(descriptor, *rest)
            finally:
                with lock:
                    large[0] -= is_large
                    under_way[0] -= 1

    source, target = MemoryImages(), Watched()
    image.write(source, "v1")
    copy_image(source, "v1", target, "v1")
    assert target.resolve("v1") == image.descriptor
    assert max(count for count, _ in most) <= copying.PARALLEL_LARGE
    assert max(count for _, count in most) <= copying.PARALLEL
