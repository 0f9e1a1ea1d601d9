"""Resolves what is built from, ahead of the builds: several platforms then have the same files.

Nothing is unpacked and nothing kept. Of git a commit is asked for, of an artifact its manifest. An archive is
read to its end, since only its content tells which one it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, assert_never

from strake_api.models.source import (
    ArchiveSource,
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    InlineSource,
    NamedContext,
    OCISource,
    Source,
)
from strake_api.reasons import ProgressReason
from strake_api.result import BuildSucceeded, ResolvedSource
from strake_builder import interrupt
from strake_builder.context.artifact import resolve_artifact
from strake_builder.context.buckets.download import download_object, prefetched_object
from strake_builder.context.directory import directory_digest, mounted_files
from strake_builder.context.downloads import Downloads
from strake_builder.context.fetch import resolve_git
from strake_builder.errors import InvalidRequestError, SourceError
from strake_builder.solve.phases import Phases, deadline
from strake_builder.solve.planning.contexts import SCRATCH, RequestedContexts
from strake_builder.solve.policy.sources import permitted_contexts, permitted_image
from strake_oci.errors import OCIError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from strake_api.models.source_policy import SourcePolicy
    from strake_api.requests.sources import SourceRequest
    from strake_builder.progress.reporter import Reporter
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.cancellation import Cancellation


def resolve_sources(
    request: SourceRequest, inputs: BuildInputs, reporter: Reporter, cancellation: Cancellation
) -> BuildSucceeded:
    """Return a result with what the build context and each named context are now.

    Args:
        request: what to resolve.
        inputs: credentials, and how registries are reached.
        reporter: hears of progress.
        cancellation: stops it from outside.

    Raises:
        BuildError: one cannot be resolved; with its name.
    """
    RequestedContexts.of(request.contexts)
    request = permitted_contexts(request)
    for warning in request.warnings:
        reporter.warn(warning)
    phases, registries = Phases(reporter, cancellation), inputs.registries
    with (
        deadline(request.timeout_seconds, cancellation),
        interrupt.interrupted_by(cancellation.check),
        RegistryClient(
            registries, inputs.credentials.pull, warn=reporter.warn, cancellation=cancellation
        ) as client,
        phases.entered(ProgressReason.FETCHING_SOURCE, "source"),
    ):
        resolver = _Resolver(request.source_policies, inputs, reporter, cancellation, client)
        resolved = [resolver.source(request.source), *map(resolver.context, request.contexts)]
    return BuildSucceeded(
        sources=tuple(resolved), durations=phases.durations(), warnings=tuple(reporter.warnings)
    )


class _Resolver:
    """Resolves the sources of one request."""

    def __init__(
        self,
        policies: tuple[SourcePolicy, ...],
        inputs: BuildInputs,
        reporter: Reporter,
        cancellation: Cancellation,
        client: RegistryClient,
    ) -> None:
        self._policies = policies
        self._git = inputs.credentials.git
        self._networks = inputs.registries.networks
        self._reporter = reporter
        self._cancellation = cancellation
        self._client = client

    def context(self, context: NamedContext) -> ResolvedSource:
        """Return what a named context is."""
        try:
            if context.source is not None:
                found = self.source(context.source)
            elif context.image is not None:
                found = self._image(context.image)
            else:
                raise InvalidRequestError("an image layout is no source that a cluster has")
        except SourceError as error:
            message = f"the named context {context.name}: {error.message}"
            raise SourceError(message, hint=error.hint) from error
        return found.model_copy(update={"name": context.name})

    def source(self, source: Source) -> ResolvedSource:
        """Return what a source is."""
        chosen = source.chosen
        match chosen:
            case GitSource():
                access = self._git.get(chosen.url)
                return ResolvedSource(
                    revision=resolve_git(chosen, access, self._cancellation, self._networks)
                )
            case HTTPSource():
                watch = self._reporter.fetching
                downloads = Downloads(cancellation=self._cancellation, networks=self._networks, watch=watch)
                return _of(f"sha256:{downloads.fetch(chosen.url, None, chosen.checksum).sha256}")
            case BucketSource():
                return _of(self._object(chosen))
            case OCISource():
                return _of(str(resolve_artifact(chosen, self._client)))
            case DirectorySource():
                return _of(_directory(chosen))
            case InlineSource():
                return ResolvedSource()
            case ArchiveSource():
                raise InvalidRequestError(
                    f"the archive {chosen.path} cannot be resolved: it is no source that a cluster has"
                )
            case _:
                assert_never(chosen)

    def _object(self, source: BucketSource) -> str:
        if source.fetched is not None:
            return prefetched_object(source.fetched)[1]
        watch = self._reporter.fetching
        return download_object(source, None, None, self._cancellation, self._networks, watch)

    def _image(self, image: str) -> ResolvedSource:
        if image == SCRATCH:
            return ResolvedSource()
        try:
            reference = permitted_image(Reference.parse(image).with_default_tag(), self._policies, ())
            return _of(str(self._client.resolve(reference).digest))
        except OCIError as error:
            raise SourceError(f"cannot pull {image}: {error.account}", hint=error.hint) from error


def _of(digest: str) -> ResolvedSource:
    return ResolvedSource(digest=digest)


def _directory(source: DirectorySource) -> str:
    if not os.path.isdir(source.path):
        raise SourceError(f"the context {source.path} is no directory")
    try:
        return directory_digest(mounted_files(source.path))
    except OSError as error:
        raise SourceError(f"cannot read the context {source.path}: {error.strerror}") from error
