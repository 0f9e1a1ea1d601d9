"""The image of a platform is found where an index leaves platforms out."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from strake_oci.errors import InvalidDocumentError, PlatformNotFoundError
from strake_oci.selection import MAX_OPENED
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index
from strake_oci.spec.platform import Platform
from strake_oci.stores.memory import MemoryImages
from strake_oci.transfers.copying import copy_image
from tests.fixtures.content.images import MadeImage, make_image

AMD64, ARM64 = make_image(os.urandom(50)), make_image(os.urandom(50), platform="linux/arm64")
NAMED = Platform.parse("linux/amd64")


def entry(image: MadeImage, platform: str | None = None, **annotations: str) -> tuple[MadeImage, Descriptor]:
    named = Platform.parse(platform) if platform else None
    return image, replace(image.descriptor, platform=named, annotations=annotations)


def index_of(*entries: tuple[MadeImage, Descriptor]) -> MadeImage:
    data = Index(tuple(listed for _, listed in entries)).serialize()
    return MadeImage(
        Descriptor.of(mediatype.OCI_INDEX, data), data, children=tuple(image for image, _ in entries)
    )


def found(index: MadeImage, platform: str = "linux/amd64") -> Descriptor:
    source = MemoryImages()
    index.write(source, "it")
    return copy_image(source, "it", MemoryImages(), "copy", platform=Platform.parse(platform))


OTHER_AMD64 = make_image(os.urandom(50))


@pytest.mark.parametrize(
    "index",
    [
        index_of(entry(AMD64)),
        index_of(entry(ARM64), entry(AMD64)),
        index_of(entry(ARM64, "linux/arm64"), entry(AMD64)),
        index_of(entry(OTHER_AMD64), entry(AMD64, "linux/amd64")),  # one that is named goes first
        index_of(entry(OTHER_AMD64, **{"vnd.docker.reference.type": "attestation-manifest"}), entry(AMD64)),
        index_of(entry(index_of(entry(AMD64)))),
        index_of(entry(index_of(entry(ARM64, "linux/arm64"))), entry(index_of(entry(AMD64, "linux/amd64")))),
        index_of(entry(index_of(entry(ARM64)), "linux/amd64"), entry(AMD64)),  # a name that promises too much
        index_of(entry(make_image(platform="linux/riscv64"), "unknown/unknown"), entry(AMD64)),
    ],
)
def test_the_image_is_found_by_its_config(index):
    assert found(index).digest == AMD64.descriptor.digest


def test_an_image_without_processor_in_its_config_runs_anywhere():
    image = make_image(os.urandom(10))
    config, data = image.blobs[0]
    bare = data.replace(b'"amd64"', b'""')
    manifest = image.data.replace(
        str(config.digest).encode(), str(Descriptor.of(config.media_type, bare).digest).encode()
    ).replace(f'"size":{config.size}'.encode(), f'"size":{len(bare)}'.encode())
    made = MadeImage(
        Descriptor.of(mediatype.OCI_MANIFEST, manifest),
        manifest,
        ((Descriptor.of(config.media_type, bare), bare), *image.blobs[1:]),
    )
    assert found(index_of(entry(made)), "linux/s390x") == made.descriptor


@pytest.mark.parametrize(
    "index", [index_of(), index_of(entry(ARM64)), index_of(entry(index_of(entry(ARM64, "linux/arm64"))))]
)
def test_an_image_of_another_platform_is_not_taken(index):
    with pytest.raises(PlatformNotFoundError, match="linux/amd64"):
        found(index)


def test_hostile_indexes_end():
    with pytest.raises(InvalidDocumentError, match=f"among {MAX_OPENED} entries"):
        found(index_of(*[entry(ARM64)] * (MAX_OPENED + 1)))
    deep = index_of(entry(AMD64))
    for _ in range(20):
        deep = index_of(entry(deep))
    with pytest.raises(InvalidDocumentError, match="nested too deeply"):
        found(deep)
