"""Which parts a run has, and which of them are due: what each needs is on the status.

source      where a source could change meanwhile
platforms   all at once, when the sources are resolved
index       when the image of every platform is pushed; it alone moves tags
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.result import ResolvedSource
from strake_api.status import PartStatus, Phase
from strake_operator.parts import INDEX, SOURCE, IndexPart, Part, PlatformDigest, PlatformPart, SourcePart
from strake_operator.pins import fixed_commit, floats

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus


def names_of(spec: ImageBuildSpec) -> tuple[str, ...]:
    """Return the names of all parts of a run, in the order in which they are needed."""
    return (*((SOURCE,) if floats(spec) else ()), *spec.platforms, INDEX)


def with_parts(status: ImageBuildStatus, spec: ImageBuildSpec) -> ImageBuildStatus:
    """Return a status that has each part of the run, once and in order, and no other."""
    known: dict[str, PartStatus] = {}
    for each in status.parts or ():
        known.setdefault(each.name, each)
    parts = tuple(known.get(name) or PartStatus(name=name) for name in names_of(spec))
    return status if parts == status.parts else status.model_copy(update={"parts": parts})


def part_of(status: ImageBuildStatus, name: str) -> PartStatus:
    """Return what a status says of a part; nothing but its name where it says nothing."""
    found = (each for each in status.parts or () if each.name == name)
    return next(found, PartStatus(name=name))


def due_parts(spec: ImageBuildSpec, status: ImageBuildStatus) -> tuple[Part, ...]:
    """Return the parts that are to be started, or go on, with what they need of those before them.

    Args:
        spec: With several platforms.
        status: Of the run, with all its parts.
    """
    source = part_of(status, SOURCE)
    if floats(spec) and not _is_resolved(source, spec):
        return (SourcePart(),)
    images = tuple(part_of(status, name) for name in spec.platforms)
    resolved = _resolved(source)
    if left := tuple(PlatformPart(each.name, resolved) for each in images if not _is_pushed(each)):
        return left
    pushed = tuple(PlatformDigest(each.name, each.digest or "", each.attestation) for each in images)
    return (IndexPart(pushed, _revision(spec, status)),)


def _is_resolved(source: PartStatus, spec: ImageBuildSpec) -> bool:
    return source.phase is Phase.SUCCEEDED and len(source.sources or ()) == 1 + len(spec.contexts)


def _is_pushed(image: PartStatus) -> bool:
    return image.phase is Phase.SUCCEEDED and image.digest is not None


def _resolved(source: PartStatus) -> tuple[ResolvedSource, ...]:
    return tuple(
        ResolvedSource(name=each.name or "", revision=each.revision, digest=each.digest)
        for each in source.sources or ()
    )


def _revision(spec: ImageBuildSpec, status: ImageBuildStatus) -> str | None:
    """Return the commit of the build context: as the spec or the part `source` has it, and no step."""
    if spec.source.git is None:
        return None
    resolved = part_of(status, SOURCE).sources or ()
    return fixed_commit((resolved[0].revision or "") if resolved else spec.source.git.ref)
