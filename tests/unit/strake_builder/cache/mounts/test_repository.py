"""Two writers of one mount: every order in which their requests can come, at a registry in memory."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import pytest

from strake_builder.cache.mounts.listing import Kind, Listed, Listing, Pack
from strake_builder.cache.mounts.repository import Change, MountRepository, TooLargeMountError
from strake_oci.errors import ErrorContext, ManifestUnknownError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

REPOSITORY = Repository.parse("registry.example/cache")
KEY = "a" * 64
TOP = {b"": Listed(Kind.DIRECTORY)}


@dataclass
class Registry:
    """What a client asks of a registry; `between` holds what happens before the next push of a manifest."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    tags: dict[str, tuple[Descriptor, bytes]] = field(default_factory=dict)
    before_question: list = field(default_factory=list)
    before_push: list = field(default_factory=list)

    def manifest(self, _, tag):
        if tag not in self.tags:
            raise ManifestUnknownError(ErrorContext("registry.example"), "there is none")
        return self.tags[tag]

    def resolve(self, reference):
        if self.before_question:
            self.before_question.pop()()
        return self.manifest(None, reference.tag)[0]

    def push_manifest(self, reference, data, media_type):
        if self.before_push:
            self.before_push.pop()()
        self.tags[reference.tag] = (Descriptor.of(media_type, data), data)
        return self.tags[reference.tag][0]

    def push_blob(self, _, descriptor, open_source):
        with open_source() as source:
            self.blobs[descriptor.digest] = source.read()

    def open_blob(self, _, descriptor):
        return nullcontext(io.BytesIO(self.blobs[descriptor.digest]))


def change(name: str, *, base: Listing | None = None, merges: bool = True, limit: int = 1000) -> Change:
    base = base or Listing()
    pack = Pack(Digest.sha256(name.encode()), 1, 1)
    added = {name.encode(): Listed(Kind.FILE, 0o644, size=10, pack=pack.digest)}
    return Change(base, {**TOP, **base.entries, **added}, (pack,), merges, limit)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def mounts(registry):
    return MountRepository(registry, REPOSITORY)


def kept(mounts: MountRepository) -> set[bytes]:
    stored = mounts.fetch(KEY)
    assert stored is not None
    assert stored.listing is not None
    return set(stored.listing.entries) - {b""}


def test_what_another_writer_added_before_stays(mounts):
    mounts.put(KEY, change("a"))
    mounts.put(KEY, change("b"))
    assert kept(mounts) == {b"a", b"b"}


def test_a_writer_that_comes_before_the_question_is_merged(mounts, registry):
    registry.before_question.append(lambda: mounts.put(KEY, change("b")))
    mounts.put(KEY, change("a"))
    assert kept(mounts) == {b"a", b"b"}


def test_a_writer_that_comes_between_question_and_push_is_overwritten_whole(mounts, registry):
    registry.before_push.append(lambda: mounts.put(KEY, change("b")))
    mounts.put(KEY, change("a"))
    assert kept(mounts) == {b"a"}


def test_a_writer_that_overwrites_is_merged_by_the_one_that_asks_afterwards(mounts, registry):
    def other_pushes_late(reference, data, media_type):
        registry.push_manifest = own
        mounts.put(KEY, change("b"))
        other = registry.tags[KEY]
        pushed = own(reference, data, media_type)
        registry.tags[KEY] = other  # its request came after ours
        return pushed

    own, registry.push_manifest = registry.push_manifest, other_pushes_late
    mounts.put(KEY, change("a"))
    assert kept(mounts) == {b"a", b"b"}


def test_a_mount_that_one_build_has_at_a_time_is_replaced(mounts):
    mounts.put(KEY, change("a"))
    mounts.put(KEY, change("b", merges=False))
    assert kept(mounts) == {b"b"}


def test_what_is_unsound_is_replaced(mounts, registry):
    registry.tags[KEY] = (Descriptor.of("application/vnd.oci.image.manifest.v1+json", b"{}"), b"{}")
    mounts.put(KEY, change("a"))
    assert kept(mounts) == {b"a"}


def test_what_turned_out_damaged_is_replaced_and_what_came_meanwhile_is_not(mounts, registry):
    mounts.put(KEY, change("a"))
    broken = mounts.fetch(KEY).digest
    mounts.put(KEY, replace(change("b"), broken=broken))
    assert kept(mounts) == {b"b"}
    mounts.put(KEY, replace(change("c"), broken=broken))
    assert kept(mounts) == {b"b", b"c"}


def test_two_that_fit_alone_and_not_together(mounts):
    mounts.put(KEY, change("a", limit=15))
    with pytest.raises(TooLargeMountError, match="20 bytes"):
        mounts.put(KEY, change("b", limit=15))
    assert kept(mounts) == {b"a"}


def test_a_mount_of_another_tag_is_none(mounts, registry):
    mounts.put(KEY, change("a"))
    registry.tags["b" * 64] = registry.tags[KEY]
    stored = mounts.fetch("b" * 64)
    assert stored is not None
    assert (stored.listing, stored.why) == (None, "it belongs to another mount")
