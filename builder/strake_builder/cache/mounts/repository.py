"""Kept cache mounts in a repository: one artifact a mount, under a tag that names it.

The manifest's first layer is the listing, the others are the packs. A registry has no compare-and-swap, so a
writer reads what the tag points to, merges, asks once more whether the tag still points there, and pushes;
afterwards it reads the tag again, and begins anew where another writer came between. Two writers that push in
the same moment, between the other's question and its push, may leave the tag with one of the two states: each
is whole, and the other build's additions are made again by the next build that misses them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from strake_builder.cache.entry import CREATED, KEYS
from strake_builder.cache.mounts.listing import (
    Entries,
    Listing,
    Pack,
    UnsoundListingError,
    read_listing,
    write_listing,
)
from strake_builder.cache.mounts.merge import listing_of, merged
from strake_builder.layers.compression import DecompressedStream, compressor
from strake_builder.layers.errors import LayerError
from strake_builder.layers.format import LayerFormat
from strake_builder.layers.pipeline import write_blob
from strake_oci.errors import NotFoundError, OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.blobs.download import BlobReader
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import timestamp
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.mediatype import Compression, layer_type
from strake_oci.spec.reference import Reference, Repository
from strake_oci.verify import read_whole

ARTIFACT_TYPE: Final = "application/vnd.strake.cache-mount.v1"
LISTING_TYPE: Final = "application/vnd.strake.cache-mount.listing.v1+json+zstd"
PACK_TYPE: Final = layer_type(Compression.ZSTD, docker=False)
_FORM: Final = LayerFormat(Compression.ZSTD)
_MAX_LISTING: Final = 64 << 20
"""Bytes of a listing, plain; packed it may be as long."""
_ATTEMPTS: Final = 8
"""Times that a mount is merged with what others wrote meanwhile."""


class TooLargeMountError(Exception):
    """A mount holds more than may be kept; the message says how much."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tag points to.

    Attributes:
        digest: of the manifest.
        listing: None where it is unsound: nothing of it is used, and the next writer replaces it.
        why: what is unsound.
    """

    digest: Digest
    listing: Listing | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a build made of a mount.

    Attributes:
        base: what it restored, empty where there was nothing.
        mine: what its steps left; every file has a pack.
        new: the packs that it wrote.
        merges: whether additions of other builds are kept; else this state replaces theirs.
        limit: bytes that the mount may hold.
        broken: a manifest whose content turned out damaged: nothing of it is merged.
    """

    base: Listing
    mine: Entries
    new: tuple[Pack, ...]
    merges: bool
    limit: int
    broken: Digest | None = None


class MountRepository:
    """The kept cache mounts of a repository. Thread-safe.

    Args:
        client: talks to the registry.
        repository: where they are.
    """

    def __init__(self, client: RegistryClient, repository: Repository) -> None:
        self._client = client
        self._repository = repository

    def fetch(self, key: str) -> Stored | None:
        """Return what is kept of a mount, None where nothing is.

        Args:
            key: its tag.

        Raises:
            OCIError: the registry refused or failed.
        """
        try:
            descriptor, data = self._client.manifest(self._repository, key)
        except NotFoundError:
            return None
        try:
            return Stored(descriptor.digest, self._listing(key, data, descriptor.media_type))
        except UnsoundListingError as error:
            return Stored(descriptor.digest, None, str(error))

    def _listing(self, key: str, data: bytes, media_type: str) -> Listing:
        try:
            manifest = parse(data, media_type)
        except OCIError as error:
            raise UnsoundListingError(error.message) from error
        if not isinstance(manifest, Manifest) or manifest.artifact_type != ARTIFACT_TYPE:
            raise UnsoundListingError("it is no cache mount")
        if manifest.annotations.get(KEYS) != key:
            raise UnsoundListingError("it belongs to another mount")
        first, *others = manifest.layers
        if first.media_type != LISTING_TYPE or not 0 < first.size <= _MAX_LISTING:
            raise UnsoundListingError("its first layer is no listing")
        try:
            packed = read_whole(lambda: self._client.open_blob(self._repository, first))
            found = read_listing(_unpacked(packed))
        except NotFoundError as error:
            raise UnsoundListingError("its listing is gone") from error
        if [(each.digest, each.size) for each in others] != [
            (each.digest, each.size) for each in found.packs
        ]:
            raise UnsoundListingError("its layers are not the packs of its listing")
        return found

    def open_pack(self, pack: Pack, on_bytes: Callable[[int], None] | None = None) -> BlobReader:
        """Open a pack for reading, as a context; digest and size are checked at its end."""
        return self._client.open_blob(
            self._repository, Descriptor(PACK_TYPE, pack.digest, pack.size), on_bytes
        )

    def write_pack(self, stream: Iterable[bytes], on_bytes: Callable[[int], None] | None = None) -> Pack:
        """Push a tar stream as a pack, while it is made.

        Raises:
            OCIError: the registry refused or failed.
            Exception: what reading the stream raised.
        """
        with self._client.start_upload(self._repository, on_bytes) as upload:
            blob = write_blob(stream, upload.write, _FORM)
            upload.commit(blob.digest)
        return Pack(blob.digest, blob.size, blob.uncompressed_size)

    def put(self, key: str, change: Change) -> Listing:
        """Keep what a build made of a mount, together with what others made of it; return what is kept now.

        Raises:
            TooLargeMountError: it holds more than it may.
            OCIError: the registry refused or failed.
        """
        ours: Digest | None = None
        listing = Listing()
        for attempt in range(1, _ATTEMPTS + 1):
            theirs = self.fetch(key)
            if ours is not None and theirs is not None and (theirs.digest == ours or not change.merges):
                return listing
            listing = _result(change, theirs)
            if theirs is not None and theirs.listing == listing:
                return listing
            _check_size(listing, change.limit)
            manifest = self._pushed(key, listing)
            if attempt == _ATTEMPTS or self._tagged(key) == (theirs.digest if theirs else None):
                tag = Reference(self._repository, tag=key)
                ours = self._client.push_manifest(tag, manifest.serialize(), manifest.media_type).digest
        return listing

    def _pushed(self, key: str, listing: Listing) -> Manifest:
        """Push the listing, and return the manifest that names it."""
        pack = compressor(_FORM.compression)
        content = pack.compress(write_listing(listing)) + pack.flush()
        first = Descriptor.of(LISTING_TYPE, content)
        self._client.push_blob(self._repository, EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
        self._client.push_blob(self._repository, first, lambda: io.BytesIO(content))
        packs = (Descriptor(PACK_TYPE, each.digest, each.size) for each in listing.packs)
        annotations = {CREATED: timestamp(datetime.now(UTC)), KEYS: key}
        return make_artifact(ARTIFACT_TYPE, (first, *packs), annotations=annotations)

    def _tagged(self, key: str) -> Digest | None:
        try:
            return self._client.resolve(Reference(self._repository, tag=key)).digest
        except NotFoundError:
            return None


def _result(change: Change, theirs: Stored | None) -> Listing:
    packs = {each.digest: each for each in (*change.base.packs, *change.new)}
    is_used = change.merges and theirs is not None and theirs.digest != change.broken
    if theirs is None or theirs.listing is None or not is_used:
        return listing_of(change.mine, packs)
    packs |= {each.digest: each for each in theirs.listing.packs}
    return listing_of(merged(change.base.entries, change.mine, theirs.listing.entries), packs)


def _check_size(listing: Listing, limit: int) -> None:
    if listing.size > limit:
        raise TooLargeMountError(f"it holds {listing.size:,} bytes, {limit:,} may be kept")


def _unpacked(data: bytes) -> bytes:
    """Return the plain listing of a packed one, however long it claims to be."""
    stream, plain = DecompressedStream(io.BytesIO(data)), bytearray()
    try:
        while piece := stream.read():
            plain += piece
            if len(plain) > _MAX_LISTING:
                raise UnsoundListingError("its listing is too long")
    except LayerError as error:
        raise UnsoundListingError(f"its listing is damaged: {error.message}") from error
    return bytes(plain)
