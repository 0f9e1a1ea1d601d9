"""The time of what SOURCE_DATE_EPOCH names: the build context, a named context, or what a stage fetches.

What has no time leaves the image's time alone, as with BuildKit. That is told, once a build: who named it
expects one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, assert_never

from strake_api.models.source import Source
from strake_builder.context.fetch import FetchedContext
from strake_builder.context.times import archive_time, context_time, within_limits
from strake_builder.frontend.model.moments import Moment, OfContext, OfNamedContext, OfRemote
from strake_builder.frontend.model.steps import GitSource, UrlSource
from strake_builder.solve.fetching.contexts import ContextFetcher
from strake_builder.solve.fetching.remote import RemoteSources
from strake_builder.solve.planning.contexts import RequestedContexts
from strake_builder.unforeseen import from_os_error
from strake_oci.cancellation import Cancellation

_NANOSECONDS: Final = 1_000_000_000


class ContextMoments:
    """Finds out the time of contexts, each once a build.

    Args:
        main: the build context, and how it came.
        contexts: the named ones.
        fetcher: fetches those.
        warn: hears of contexts that have no time.
        cancellation: ends it.
        limit: bytes that the files of an archive may have together.
    """

    def __init__(
        self,
        main: tuple[Source, FetchedContext],
        contexts: RequestedContexts,
        fetcher: ContextFetcher,
        warn: Callable[[str], None],
        cancellation: Cancellation,
        limit: int,
    ) -> None:
        self._main = main
        self._contexts = contexts
        self._fetcher = fetcher
        self._warn = warn
        self._cancellation = cancellation
        self._known: dict[OfContext | OfNamedContext, int | None] = {}
        self._told: set[Moment] = set()
        self.limit = limit

    def find(self, moment: OfContext | OfNamedContext) -> int | None:
        """Return seconds since 1970; None for a context that has no time.

        Raises:
            SourceError: it cannot be fetched, or git does not tell.
        """
        if moment not in self._known:
            source, fetched = self._fetched(moment)
            self._known[moment] = (
                None
                if source is None or fetched is None
                else context_time(source, fetched, self._cancellation, self.limit)
            )
        return self._known[moment]

    def _fetched(self, moment: OfContext | OfNamedContext) -> tuple[Source | None, FetchedContext | None]:
        match moment:
            case OfContext():
                return self._main
            case OfNamedContext(name):
                self._fetcher.named(frozenset({name}))
                return self._contexts.by_name[name].source, self._fetcher.fetched.get(name)
            case _:
                assert_never(moment)

    def tell_none(self, moment: Moment) -> None:
        """Tell, once, that something has no time."""
        if moment not in self._told:
            self._told.add(moment)
            self._warn(_none(moment))


class Moments:
    """Finds out the time of whatever SOURCE_DATE_EPOCH names, for one image.

    Args:
        contexts: of the build.
        remote: fetches for the image's steps, too.
        permitted: returns what stands for what a stage fetches, by the policies of the request.
    """

    def __init__(
        self,
        contexts: ContextMoments,
        remote: RemoteSources,
        permitted: Callable[[UrlSource | GitSource], UrlSource | GitSource],
    ) -> None:
        self._contexts = contexts
        self._remote = remote
        self._permitted = permitted

    def find(self, moment: Moment) -> int | None:
        """Return seconds since 1970; None for what has no time.

        Raises:
            SourceError: it cannot be fetched.
            ForbiddenSourceError: a policy denies it.
            BuildError: the disk is full, or cannot be written to.
        """
        match moment:
            case OfContext() | OfNamedContext():
                found = self._contexts.find(moment)
            case OfRemote(source=source):
                try:
                    found = self._fetched(self._permitted(source))
                except OSError as error:
                    raise from_os_error(error, "cannot keep what tells the time of the image") from error
            case _:
                assert_never(moment)
        if found is None:
            self._contexts.tell_none(moment)
        return found

    def _fetched(self, source: UrlSource | GitSource) -> int | None:
        match source:
            case GitSource():
                return within_limits(self._remote.committed(source))
            case UrlSource():
                file = self._remote.file(source)
                found = file.modified // _NANOSECONDS if file.modified else None
                if found is None:
                    found = archive_time(os.path.join(file.directory, file.name), self._contexts.limit)
                return None if found is None else within_limits(found)
            case _:
                assert_never(source)


def _none(moment: Moment) -> str:
    match moment:
        case OfContext():
            name, what = "context", "this context has no time of its own, as a commit or a download has"
        case OfNamedContext(name):
            what = "this named context has no time of its own, as a commit or a download has"
        case OfRemote(stage=name):
            what = "what the stage fetches has no time: its server tells none, and it is no archive"
        case _:
            assert_never(moment)
    return f"SOURCE_DATE_EPOCH={name}: {what}, so it sets none"
