"""Fetches contexts: the build context, and the named contexts that stages use.

The Dockerfile decides which named contexts are used. Those that no needed stage uses are never fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from strake_api.models.source import DirectorySource, Source
from strake_builder.context.fetch import FetchedContext, Means, fetch_context
from strake_builder.context.filtered import ContextFiles, read_ignore_patterns
from strake_builder.errors import SourceError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.planning.contexts import RequestedContexts
from strake_builder.solve.planning.reading import read_inside


class ContextFetcher:
    """Fetches the contexts of one build.

    Args:
        contexts: the named ones.
        means: what fetching needs.
        new_directory: makes an empty directory.
        own: returns the patterns of what Strake itself keeps in a directory, which is part of no context.
        lasting: returns a path that leads to a directory wherever it is moved.

    Attributes:
        fetched: how named contexts came, by name.
    """

    def __init__(
        self,
        contexts: RequestedContexts,
        means: Means,
        new_directory: Callable[[], str],
        own: Callable[[str], tuple[str, ...]],
        lasting: Callable[[str], str] = str,
    ) -> None:
        self._lasting = lasting
        self._contexts = contexts
        self._means = means
        self._new_directory = new_directory
        self._own = own
        self._named: dict[str, ContextFiles] = {}
        self.fetched: dict[str, FetchedContext] = {}

    def fetch(self, source: Source) -> FetchedContext:
        """Bring a context to a directory.

        Raises:
            SourceError: it cannot be fetched.
        """
        fetched = fetch_context(source, self._new_directory(), self._means)
        if isinstance(source.chosen, DirectorySource):
            return replace(fetched, directory=self._lasting(fetched.directory))
        return fetched

    def visible(self, files: ContextFiles) -> ContextFiles:
        """Return a context without what Strake itself keeps in it."""
        return files.without(self._own(os.path.realpath(files.directory)))

    def named(self, used: frozenset[str]) -> Mapping[str, ContextFiles]:
        """Return the files of those that are used and have files, fetched once, one after the other.

        Raises:
            SourceError: one cannot be fetched; with its name.
        """
        for name in sorted(used - self._named.keys()):
            context = self._contexts.by_name[name]
            if context.source is None:
                continue
            try:
                self._named[name] = self._files(name, context.source)
            except SourceError as error:
                message = f"the named context {context.name}: {error.message}"
                raise SourceError(message, hint=error.hint) from error
        return self._named

    def _files(self, name: str, source: Source) -> ContextFiles:
        fetched = self.fetched[name] = self.fetch(source)
        patterns = fetched.patterns
        if isinstance(source.chosen, DirectorySource):  # of other contexts BuildKit reads none
            with Root(fetched.directory) as root:
                inside = partial(read_inside, root)
                patterns = (*read_ignore_patterns(((".dockerignore", inside),)), *patterns)
        return self.visible(ContextFiles(fetched.directory, patterns))
