"""Sources that could change while a run's platforms are built, and how a request is tied to what they were.

Each platform has a Job of its own, and fetches the sources itself. A branch, an archive without a checksum, a
tag and a ConfigMap may be others a minute later, so the part `source` resolves them once. Where a spec names
nothing that can change there is nothing to resolve.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, assert_never

from strake_api.models.source import (
    ArchiveSource,
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    InlineSource,
    OCISource,
)
from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.models.source import Source
    from strake_api.requests.build import BuildRequest
    from strake_api.result import ResolvedSource
    from strake_api.spec.contexts import NamedContext
    from strake_api.spec.source import Source as SpecSource

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?", re.ASCII)


def floats(spec: ImageBuildSpec) -> bool:
    """Return whether a source of a spec may be another one by the time that the next Job fetches it."""
    named = any(_floats(each) for each in spec.contexts)
    return spec.source.config_map is not None or _floats(spec.source) or named


def _floats(source: SpecSource | NamedContext) -> bool:
    if source.git is not None:
        return fixed_commit(source.git.ref) is None
    if source.http is not None:
        return source.http.checksum is None
    if source.oci is not None:
        return "@" not in source.oci.reference
    return source.in_bucket is not None and source.in_bucket.checksum is None


def fixed_commit(ref: str) -> str | None:
    """Return the commit that a ref names by its full hash; None for any other."""
    return ref if _COMMIT.fullmatch(ref) else None


def pinned(request: BuildRequest, sources: tuple[ResolvedSource, ...]) -> BuildRequest:
    """Return a request that builds from what its sources resolved to, and fails where they are others by now.

    Args:
        request: As its spec says it.
        sources: The build context's, then that of each named context, in the order of the request; none where
            nothing was resolved.
    """
    if not sources:
        return request
    context, *named = sources
    contexts = tuple(
        each if each.source is None else each.model_copy(update={"source": _pinned(each.source, resolved)})
        for each, resolved in zip(request.contexts, named, strict=True)
    )
    return request.model_copy(update={"source": _pinned(request.source, context), "contexts": contexts})


def _pinned(source: Source, resolved: ResolvedSource) -> Source:
    chosen = source.chosen
    revision, digest = resolved.revision, resolved.digest
    changes: dict[str, Any] = {}
    match chosen:
        case GitSource() if revision is not None:
            changes = {"git": chosen.model_copy(update={"commit": revision, "resolved": True})}
        case HTTPSource() if digest is not None:
            changes = {"http": chosen.model_copy(update={"checksum": digest})}
        case BucketSource() if digest is not None:
            changes = {"bucket": chosen.model_copy(update={"checksum": digest})}
        case OCISource() if digest is not None:
            changes = {"oci": chosen.model_copy(update={"reference": _by_digest(chosen.reference, digest)})}
        case DirectorySource() if digest is not None:
            changes = {"directory": chosen.model_copy(update={"digest": digest})}
        case GitSource() | HTTPSource() | BucketSource() | OCISource() | DirectorySource():
            pass  # it cannot change, so nothing was resolved
        case InlineSource() | ArchiveSource():
            pass
        case _:
            assert_never(chosen)
    return source.model_copy(update=changes)


def _by_digest(reference: str, digest: str) -> str:
    try:
        return f"{Reference.parse(reference).repository}@{digest}"
    except OCIError:
        return reference  # the builder refuses it, with better words
