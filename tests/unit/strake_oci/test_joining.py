"""What an index of images is made of, and which images make none."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from functools import partial

import pytest

from strake_oci.attestations import MEDIA_TYPE
from strake_oci.errors import InvalidDocumentError
from strake_oci.selection import ATTESTATION_NOTE, find_manifest
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.image import ImageConfig, RuntimeConfig
from strake_oci.spec.manifest import Index, Manifest
from strake_oci.spec.platform import Platform
from strake_oci.stores.memory import MemoryImages
from strake_oci.transfers.joining import MAX_ENTRIES, NamedEntries, entries_of, join_images
from tests.fixtures.content.images import MadeImage, make_image, make_index


def entries(image: MadeImage, name: str = "it") -> NamedEntries:
    store = MemoryImages()
    image.write(store, name)
    return entries_of(store, name, find_manifest(store, name))


def index_of(*listed: Descriptor, children: tuple[MadeImage, ...] = ()) -> MadeImage:
    data = Index(listed).serialize()
    return MadeImage(Descriptor.of(mediatype.OCI_INDEX, data), data, children=children)


def small(platform: str, *, docker: bool = False) -> MadeImage:
    return make_image(os.urandom(50), platform=platform, docker=docker)


AMD64 = small("linux/amd64")


def test_each_image_is_an_entry_with_the_platform_of_its_config():
    amd64, arm = small("linux/amd64"), small("linux/arm/v7")
    joined = join_images([entries(amd64), entries(arm)], {"team": "web"})
    assert [(each.digest, str(each.platform)) for each in joined.manifests] == [
        (amd64.descriptor.digest, "linux/amd64"),
        (arm.descriptor.digest, "linux/arm/v7"),
    ]
    assert (joined.media_type, joined.annotations) == (mediatype.OCI_INDEX, {"team": "web"})


@pytest.mark.parametrize(
    ("second_is_docker", "annotations", "media_type"),
    [
        (True, {}, mediatype.DOCKER_INDEX),
        (False, {}, mediatype.OCI_INDEX),
        (True, {"a": "b"}, mediatype.OCI_INDEX),
    ],
)
def test_images_of_docker_make_an_index_of_docker(second_is_docker, annotations, media_type):
    first, second = small("linux/amd64", docker=True), small("linux/arm64", docker=second_is_docker)
    assert join_images([entries(first), entries(second)], annotations).media_type == media_type


def test_an_index_brings_its_images_and_their_attestations():
    image = small("linux/amd64")
    notes = {ATTESTATION_NOTE: "attestation-manifest"}
    attestation = replace(
        small("linux/amd64").descriptor, platform=Platform("unknown", "unknown"), annotations=notes
    )
    index = index_of(
        replace(image.descriptor, platform=Platform("linux", "amd64")), attestation, children=(image,)
    )
    arm64 = small("linux/arm64")
    joined = join_images([entries(index), entries(arm64)], {})
    assert [each.digest for each in joined.manifests] == [
        image.descriptor.digest,
        attestation.digest,
        arm64.descriptor.digest,
    ]
    assert joined.manifests[1].annotations == notes


def test_an_entry_that_leaves_its_platform_out_gets_that_of_its_config():
    image = small("linux/s390x")
    (entry,) = entries(index_of(image.descriptor, children=(image,))).entries
    assert str(entry.platform) == "linux/s390x"


def test_the_same_image_twice_is_one_entry():
    image = small("linux/amd64")
    assert len(join_images([entries(image), entries(image, "again")], {}).manifests) == 1


def test_two_images_for_one_platform_are_refused_with_both_names():
    first, second = entries(small("linux/amd64"), "one"), entries(small("linux/amd64"), "two")
    with pytest.raises(InvalidDocumentError, match="one and two are both for linux/amd64"):
        join_images([first, second], {})


def test_one_platform_in_two_spellings_is_one():
    pair = [
        NamedEntries(name, (replace(small("linux/arm64").descriptor, platform=platform),))
        for name, platform in (("a", Platform("linux", "arm64", "v8")), ("b", Platform("linux", "aarch64")))
    ]
    with pytest.raises(InvalidDocumentError, match="a and b are both for linux/arm64"):
        join_images(pair, {})


def artifact() -> MadeImage:
    data = make_artifact(MEDIA_TYPE, ()).serialize()
    return MadeImage(Descriptor.of(mediatype.OCI_MANIFEST, data), data, ((EMPTY, EMPTY_CONTENT),))


def without_platform() -> MadeImage:
    config = ImageConfig(Platform("", ""), RuntimeConfig()).serialize()
    blob = Descriptor.of(mediatype.OCI_CONFIG, config)
    data = Manifest(blob, ()).serialize()
    return MadeImage(Descriptor.of(mediatype.OCI_MANIFEST, data), data, ((blob, config),))


def nested() -> MadeImage:
    inner = make_index("linux/amd64")
    return index_of(inner.descriptor, children=(inner,))


def endless() -> MadeImage:
    entry = replace(small("linux/amd64").descriptor, platform=Platform("linux", "amd64"))
    return index_of(*[entry] * (MAX_ENTRIES + 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (artifact, "it is no image: it is an artifact of type .application/vnd.in-toto"),
        (without_platform, "the config of it does not tell its platform"),
        (nested, "is an index in an index"),
        (endless, f"lists more than {MAX_ENTRIES} images"),
    ],
)
def test_what_is_no_image_of_a_platform_is_refused(make, message):
    store = MemoryImages()
    made = make()
    for child in made.children:
        child.write(store, None)
    for descriptor, data in made.blobs:
        store.push_blob(descriptor, partial(io.BytesIO, data))
    store.push_manifest(made.data, made.descriptor.media_type, "it")
    with pytest.raises(InvalidDocumentError, match=message):
        entries_of(store, "it", find_manifest(store, "it"))


def test_nothing_makes_no_index():
    with pytest.raises(InvalidDocumentError, match="no image"):
        join_images([], {})
    with pytest.raises(InvalidDocumentError, match="too long"):
        join_images([several(number) for number in range(MAX_ENTRIES + 1)], {})


def several(number: int) -> NamedEntries:
    entry = replace(AMD64.descriptor, platform=Platform("linux", f"cpu{number}"))
    return NamedEntries(f"app:{number}", (entry,))
