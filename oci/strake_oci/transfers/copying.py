"""Copying an image between registries, layouts and archives, streamed, with nothing on disk in between."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from strake_oci.errors import InvalidDocumentError
from strake_oci.selection import FoundManifest, find_manifest, read_manifest
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strake_oci.images import ImageReader, ImageWriter
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.platform import Platform

T = TypeVar("T")
R = TypeVar("R")

_Tree: TypeAlias = "dict[Digest, FoundManifest]"
"""A manifest and all its descendants, by digest."""

PARALLEL: Final = 8
"""Blobs on their way at a time. A small one takes hardly more than its round trips."""

PARALLEL_LARGE: Final = 4
"""Large ones among them: each takes memory, and a share of the line."""

_LARGE: Final = 16 * 1024 * 1024

PARALLEL_MANIFESTS: Final = 8
"""Manifests on their way at a time. Each is a round trip, and 4 MiB of memory at most."""

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
        on_failure: Called when something cannot be copied, before what is on its way beside it is waited
            for: to stop those that read and write it.

    Returns:
        The manifest or index that was copied.

    Raises:
        PlatformNotFoundError: The index has no image for the platform.
        InvalidDocumentError: A manifest breaks its specification, or indexes are nested beyond reason.
        OCIError: The source or destination cannot be read or written; blobs that arrived stay.
    """
    top = find_manifest(source, name, platform)
    tree = _read_descendants(source, top, on_failure)

    slots = threading.BoundedSemaphore(PARALLEL_LARGE)

    def copy(blob: Descriptor) -> bool:
        with slots if blob.size >= _LARGE else contextlib.nullcontext():
            return destination.push_blob(blob, lambda: source.open_blob(blob), on_bytes)

    def push(each: FoundManifest) -> Descriptor:
        return destination.push_manifest(each.data, each.descriptor.media_type)

    _side_by_side(PARALLEL, copy, _blobs(tree), on_failure)
    descendants = [each for each in _children_first(top, tree) if each is not top]
    _side_by_side(PARALLEL_MANIFESTS, push, [each for each in descendants if not _children(each)], on_failure)
    for each in descendants:
        if _children(each):
            push(each)
    return destination.push_manifest(top.data, top.descriptor.media_type, tag)


def _children(found: FoundManifest) -> tuple[Descriptor, ...]:
    return found.document.manifests if isinstance(found.document, Index) else ()


def _read_descendants(
    source: ImageReader, top: FoundManifest, on_failure: Callable[[], None] | None
) -> _Tree:
    """Read the descendants of a manifest, level by level."""
    tree, level = {top.descriptor.digest: top}, [top]
    held = len(top.data)
    for _ in range(_MAX_DEPTH + 1):
        listed = {child.digest: child for each in level for child in _children(each)}
        wanted = [child for digest, child in listed.items() if digest not in tree]
        if not wanted:
            return tree
        # What is longer than its descriptor says is refused when it comes.
        held += sum(child.size for child in wanted)
        if len(tree) + len(wanted) > _MAX_MANIFESTS or held > _MAX_HELD:
            break
        level = _side_by_side(
            PARALLEL_MANIFESTS, lambda child: read_manifest(source, child), wanted, on_failure
        )
        tree.update((each.descriptor.digest, each) for each in level)
    raise InvalidDocumentError(f"index {top.descriptor.digest} is nested too deeply or lists too much")


def _children_first(top: FoundManifest, tree: _Tree) -> list[FoundManifest]:
    """Return a manifest after all its descendants, each once."""
    ordered: dict[Digest, FoundManifest] = {}

    def visit(each: FoundManifest) -> None:
        for child in _children(each):
            if child.digest not in ordered:
                visit(tree[child.digest])
        ordered[each.descriptor.digest] = each

    visit(top)
    return list(ordered.values())


def _blobs(tree: _Tree) -> list[Descriptor]:
    """Return each blob once, the largest first: so the longest transfer does not begin last."""
    found: dict[Digest, Descriptor] = {}
    for each in tree.values():
        if not isinstance(each.document, Index):
            for blob in each.document.references:
                if not (mediatype.is_foreign(blob.media_type) and blob.urls):
                    found.setdefault(blob.digest, blob)
    return sorted(found.values(), key=lambda blob: -blob.size)


def _side_by_side(
    count: int, work: Callable[[T], R], items: Sequence[T], on_failure: Callable[[], None] | None
) -> list[R]:
    """Return the result of the work for each item, some at a time.

    Raises:
        Exception: The first failure; what was not begun is not begun any more.
    """
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count, thread_name_prefix="copy") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            if on_failure is not None:
                on_failure()
            raise
        return [future.result() for future in futures]
