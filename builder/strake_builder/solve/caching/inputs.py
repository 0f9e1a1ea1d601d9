"""What the files are that a step reads, as parts of its cache key.

A stage that is read can be known by its definition, before it is built, or by the content that is read of
it, afterwards. Everything else is content from the start: the context, images, commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import assert_never

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key, Value, layers_state
from strake_builder.errors import BuildError
from strake_builder.frontend.model.steps import (
    AddStep,
    BindMount,
    CacheMount,
    CopyStep,
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
    GitSource,
    PathSource,
    RunStep,
    UrlSource,
    WorkdirStep,
)
from strake_builder.rootfs.copying.content_digest import FileDigests, content_digest
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.fetching.remote import RemoteSources, is_pinned
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.sources import filtered, find_sources
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform


class UnknowableError(Exception):
    """What a step reads is not known before it is read."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Files of one origin that a step reads."""

    origin: FileOrigin
    sources: tuple[PathSource, ...]
    excludes: tuple[str, ...] = ()
    owned: bool = False
    """Whether the step gives them an owner, so that theirs does not count."""
    whole: bool = False
    """Whether the sources are paths to mount, not patterns to copy."""


class StepInputs:
    """Tells inputs of steps. Thread-safe.

    Args:
        origins: opens what steps read.
        images: knows the images' layers.
        remote: knows what is elsewhere.
        files: remembers the digests of files.
    """

    def __init__(
        self, origins: FileOrigins, images: BaseImages, remote: RemoteSources, files: FileDigests
    ) -> None:
        self._origins = origins
        self._images = images
        self._sources = remote
        self._files = files

    def by_definition(
        self, step: FileStep, platform: Platform, stages: Mapping[int, Key | None]
    ) -> tuple[Value, ...]:
        """Return the inputs of a step, stages by the state that their definition leads to.

        Raises:
            UnknowableError: a stage has none, or a source cannot be had.
        """

        def stage(index: int, _: _Read) -> Value:
            state = stages.get(index)
            if state is None:
                raise UnknowableError
            return ("stage", state.hex)

        return self._inputs(step, platform, stage)

    def by_content(self, step: FileStep, platform: Platform) -> tuple[Value, ...]:
        """Return the inputs of a step whose stages are built, stages by what is read of them.

        Raises:
            UnknowableError: a source cannot be had.
        """
        return self._inputs(step, platform, lambda _, read: self._digest(read, platform))

    def without_stages(self, step: FileStep, platform: Platform) -> tuple[Value, ...]:
        """Return the inputs of a step, every stage being like any other.

        Raises:
            UnknowableError: as `by_content`.
        """
        return self._inputs(step, platform, lambda _, __: "stage")

    def _inputs(
        self, step: FileStep, platform: Platform, stage: Callable[[int, _Read], Value]
    ) -> tuple[Value, ...]:
        files = tuple(self._input(read, platform, stage) for read in _reads(step))
        sources = step.sources if isinstance(step, AddStep) else ()
        return files + tuple(self._remote(s) for s in sources if not isinstance(s, PathSource))

    def _remote(self, source: UrlSource | GitSource) -> Value:
        if is_pinned(source):
            return None  # the step's definition says it all
        try:
            if isinstance(source, GitSource):
                return ("commit", self._sources.commit(source))
            file = self._sources.file(source)
            return ("download", file.sha256(), file.modified)
        except (BuildError, OSError) as error:
            raise UnknowableError from error

    def _input(self, read: _Read, platform: Platform, stage: Callable[[int, _Read], Value]) -> Value:
        match read.origin:
            case FromContext() | FromNamedContext():
                return self._digest(read, platform)
            case FromStage(index):
                return stage(index, read)
            case FromImage(reference):
                layers = self._images.get(reference, platform).layers
                return ("image", layers_state(tuple(layer.diff_id for layer in layers)).hex)
            case FromScratch():
                return "scratch"
            case _:
                assert_never(read.origin)

    def _digest(self, read: _Read, platform: Platform) -> Value:
        """Return the digest of everything that a read covers.

        Raises:
            UnknowableError: something is missing or cannot be read: executing the step will say what.
        """
        options = CopyOptions(owner=(0, 0) if read.owned else None)
        digests: list[Value] = []
        try:
            view = self._origins.open(read.origin, platform)
            with Root(view.path) as root:
                for source in read.sources:
                    whole = source.path.encode(errors="surrogateescape")
                    for path in (whole,) if read.whole else find_sources(root, view, source, read.excludes):
                        chosen = filtered(options, root, view, source, path, read.excludes)
                        digest = content_digest(root, path, chosen, self._files)
                        if digest is None:
                            raise UnknowableError
                        digests.append((path, digest))
        except (BuildError, OSError) as error:
            raise UnknowableError from error
        return ("files", tuple(digests))


def _reads(step: FileStep) -> Iterator[_Read]:
    match step:
        case CopyStep():
            if step.sources:
                owned = step.chown is not None or isinstance(step.source, FromContext | FromNamedContext)
                yield _Read(step.source, step.sources, step.excludes, owned)
        case AddStep():
            paths = tuple(source for source in step.sources if isinstance(source, PathSource))
            if paths:
                yield _Read(FromContext(), paths, step.excludes, owned=True)
        case RunStep():
            for mount in step.mounts:
                if isinstance(mount, BindMount | CacheMount):
                    owned = isinstance(mount.source, FromContext | FromNamedContext)
                    yield _Read(mount.source, (PathSource(mount.path),), owned=owned, whole=True)
        case WorkdirStep():
            return
        case _:
            assert_never(step)
