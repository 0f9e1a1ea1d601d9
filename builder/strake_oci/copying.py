"""Copying an image from one place to another, streamed, with nothing on disk in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final

from strake_oci import mediatype
from strake_oci.errors import InvalidDocumentError
from strake_oci.manifest import Index, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from strake_oci.descriptor import Descriptor
    from strake_oci.images import ImageReader, ImageWriter
    from strake_oci.manifest import Manifest
    from strake_oci.platform import Platform

PARALLEL: Final = 4
"""Blobs on their way at a time."""

_MAX_DEPTH: Final = 4
_MAX_MANIFESTS: Final = 2000
_MAX_HELD: Final = 32 * 1024 * 1024
"""Bytes of manifests that are kept until all blobs are there; a real image's have some KiB."""


def copy_image(
    source: ImageReader,
    name: str,
    destination: ImageWriter,
    tag: str | None = None,
    *,
    platform: Platform | None = None,
    on_bytes: Callable[[int], None] | None = None,
    on_failure: Callable[[], None] | None = None,
) -> Descriptor:
    """Copy an image or a whole index, and let a tag point to it once everything is there.

    The digest stays the same: manifests are passed on byte by byte. Blobs that the destination has are not
    sent.

    Args:
        source: Where from.
        name: Tag or digest there.
        destination: Where to.
        tag: What to call it there; None pushes by digest only.
        platform: Of an index, copy only the image for this platform.
        on_bytes: Called with numbers of bytes as they are sent, from several threads.
        on_failure: Called when a blob cannot be copied, before the others that are on their way are waited
            for: to stop those that read and write them.

    Returns:
        The manifest or index that was copied.

    Raises:
        PlatformNotFoundError: The index has no image for the platform.
        InvalidDocumentError: A manifest breaks its specification, or indexes are nested beyond reason.
        OCIError: A place cannot be read or written; blobs that arrived stay.
    """
    root = source.resolve(name)
    data, document = _read(source, root)
    if platform is not None:
        while isinstance(document, Index):
            root = document.select(platform)
            data, document = _read(source, root)
    ordered: dict[Descriptor, tuple[bytes, Manifest | Index]] = {}
    _collect(source, root, data, document, ordered, depth=0)
    _copy_blobs(source, destination, _blobs(entry[1] for entry in ordered.values()), on_bytes, on_failure)
    for descriptor, (content, _) in ordered.items():
        if descriptor is not root:
            destination.push_manifest(content, descriptor.media_type)
    return destination.push_manifest(data, root.media_type, tag)


def _read(source: ImageReader, descriptor: Descriptor) -> tuple[bytes, Manifest | Index]:
    data = source.manifest(descriptor)
    return data, parse(data, descriptor.media_type)


def _collect(
    source: ImageReader,
    descriptor: Descriptor,
    data: bytes,
    document: Manifest | Index,
    into: dict[Descriptor, tuple[bytes, Manifest | Index]],
    *,
    depth: int,
) -> None:
    """Gather a manifest and all below it, children first."""
    held = sum(len(content) for content, _ in into.values())
    if depth > _MAX_DEPTH or len(into) > _MAX_MANIFESTS or held > _MAX_HELD:
        raise InvalidDocumentError(f"index {descriptor.digest} is nested too deeply or lists too much")
    if isinstance(document, Index):
        for child in document.manifests:
            if child not in into:
                _collect(source, child, *_read(source, child), into, depth=depth + 1)
    into[descriptor] = (data, document)


def _blobs(documents: Iterable[Manifest | Index]) -> list[Descriptor]:
    """Return each blob once, the largest first: so the longest transfer does not begin last."""
    found: dict[object, Descriptor] = {}
    for document in documents:
        if not isinstance(document, Index):
            for blob in document.references:
                if not (mediatype.is_foreign(blob.media_type) and blob.urls):
                    found.setdefault(blob.digest, blob)
    return sorted(found.values(), key=lambda blob: -blob.size)


def _copy_blobs(
    source: ImageReader,
    destination: ImageWriter,
    blobs: list[Descriptor],
    on_bytes: Callable[[int], None] | None,
    on_failure: Callable[[], None] | None,
) -> None:
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="copy") as pool:
        futures = [
            pool.submit(destination.push_blob, blob, lambda blob=blob: source.open_blob(blob), on_bytes)  # type: ignore[misc]
            for blob in blobs
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            if on_failure is not None:
                on_failure()
            raise
