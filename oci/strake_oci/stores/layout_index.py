"""Names in the `index.json` of an image layout, wherever the layout is kept."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidReferenceError, LayoutError
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from strake_oci.spec.descriptor import Descriptor

REF_NAME: Final = "org.opencontainers.image.ref.name"
"""The annotation that holds a tag (image-spec, annotations.md)."""

CONTAINERD_NAME: Final = "io.containerd.image.name"
"""The annotation in which containerd and Docker keep the full reference."""

MARKER: Final = "oci-layout"
"""The file that makes a directory a layout."""

_SHOWN: Final = 10
"""Names in an error: a layout that is a cache has thousands."""

VERSION: Final = "1.0.0"
"""Of the layout, as the marker tells it."""


def find(index: Index, name: str, where: str) -> Descriptor | Digest:
    """Return what a tag, full reference or digest names; without a name, the only image there is.

    Args:
        index: The layout's `index.json`.
        name: What is looked for, or "".
        where: The layout, for the error.

    Returns:
        The entry without its name, or the digest that was asked for if the index does not list it.

    Raises:
        LayoutError: There is no such image, or several and no name.
    """
    entries = index.manifests
    if ":" in name:
        with contextlib.suppress(ValueError):
            digest = Digest.parse(name)
            return next((_without_name(entry) for entry in entries if entry.digest == digest), digest)
    found = [entry for entry in entries if not name or name in names(entry)]
    if len({entry.digest for entry in found}) == 1:
        return _without_name(found[-1])
    there = sorted({known for entry in entries for known in names(entry)[:1]})
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    hint = f"there is {', '.join(there[:_SHOWN])}{more}" if there else "no image in it has a name"
    problem = f"no image {name!r}" if name else "several images; name one" if entries else "no image"
    raise LayoutError(f"{where}: {problem}", hint=hint)


def names(entry: Descriptor) -> list[str]:
    """Return the names of an entry: its tag, and its full reference if it has one."""
    return [entry.annotations[key] for key in (REF_NAME, CONTAINERD_NAME) if key in entry.annotations]


def named(index: Index, descriptor: Descriptor, name: str) -> Index:
    """Return the index with a name pointing to a manifest, and to nothing else.

    A full reference ("example.com/app:1") is kept as containerd does, besides its tag.
    """
    annotations = {REF_NAME: name}
    reference = full_reference(name)
    if reference is not None:
        annotations = {CONTAINERD_NAME: str(reference), REF_NAME: reference.identifier}
    entry = replace(descriptor, annotations={**descriptor.annotations, **annotations})
    kept = tuple(old for old in index.manifests if names(old) != names(entry))
    return Index((*kept, entry), annotations=index.annotations, extra=index.extra)


def full_reference(name: str) -> Reference | None:
    """Return the reference that a name is, or None if it is only a tag."""
    if not any(mark in name for mark in "/:@"):
        return None
    try:
        return Reference.parse(name).with_default_tag()
    except InvalidReferenceError:
        return None


def _without_name(entry: Descriptor) -> Descriptor:
    kept = {key: value for key, value in entry.annotations.items() if key not in {REF_NAME, CONTAINERD_NAME}}
    return replace(entry, annotations=kept)


def blob_path(digest: Digest) -> str:
    """Return the name of a blob's file in a layout."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"
