"""What a build was made from: everything that came from elsewhere, by what proves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from strake_api.models.source import BucketSource, GitSource, HTTPSource, OCISource, Source
from strake_builder.attestations.facts import (
    ArtifactMaterial,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Material,
)
from strake_builder.context.fetch import FetchedContext
from strake_builder.frontend.model.moments import OfRemote
from strake_builder.frontend.model.steps import AddStep, PathSource, UrlSource
from strake_builder.frontend.model.steps import GitSource as AddedRepository
from strake_builder.solve.parts import BuildParts
from strake_builder.solve.policy.sources import permitted_source
from strake_oci.spec.digest import Digest


def materials_of(parts: BuildParts) -> tuple[Material, ...]:
    """Return images, downloads, and the contexts that others can have, of a build whose steps are done."""
    requested, fetched = parts.requested, parts.sources.fetched
    sources = [requested.request.source]
    names = [""]
    for name in sorted(parts.written.plan.used_contexts):
        source = requested.contexts.by_name[name].source
        if source is not None:
            sources.append(source)
            names.append(name)
    found = (material_of(source, fetched.get(name)) for source, name in zip(sources, names, strict=True))
    contexts = [material for material in found if material is not None]
    return (*_images(parts), *_downloads(parts), *contexts)


def material_of(source: Source, fetched: FetchedContext | None) -> Material | None:
    """Return what a context is to others; None for what came from a disk, or is known by no digest."""
    chosen = source.chosen
    match chosen:
        case GitSource(url=url, ref=ref, path=path) if fetched is not None and fetched.revision:
            subdirectory = "" if path == "." else path
            return GitMaterial(url, fetched.revision, "" if ref == "HEAD" else ref, subdirectory)
        case HTTPSource(url=url) if fetched is not None and fetched.digest:
            return FileMaterial(url, fetched.digest)
        case BucketSource(url=url) if fetched is not None and fetched.digest:
            return FileMaterial(url, fetched.digest)
        case OCISource(reference=reference) if fetched is not None and fetched.digest:
            return ArtifactMaterial(reference, Digest.parse(fetched.digest))
        case _:
            return None


def _images(parts: BuildParts) -> Iterator[Material]:
    for image, platform in parts.sources.images.platforms():
        yield ImageMaterial(image.reference, image.descriptor.digest, platform)


def _downloads(parts: BuildParts) -> Iterator[Material]:
    remote = parts.sources.remote
    for source in _fetched(parts):
        if isinstance(source, UrlSource):
            checksum = source.checksum or remote.known_checksum(source)
            if checksum is not None:
                yield FileMaterial(source.url, checksum)
            continue
        commit = remote.used_commit(source)
        if commit is not None:
            yield GitMaterial(source.remote, commit, source.ref, source.subdir)


def _fetched(parts: BuildParts) -> Iterable[UrlSource | AddedRepository]:
    """Return what ADDs fetch, and what tells the time of the image, each once."""
    found = [
        source
        for step in parts.written.steps
        if isinstance(step, AddStep)
        for source in step.sources
        if not isinstance(source, PathSource)
    ]
    moment = parts.written.plan.moment
    if isinstance(moment, OfRemote):
        found.append(permitted_source(moment.source, parts.requested.request.source_policies))
    return dict.fromkeys(found)
