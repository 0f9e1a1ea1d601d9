"""What the images of a build share, and what every attempt at one works with, by what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import datetime
from typing import TYPE_CHECKING

from strake_builder.context.fetch import FetchedContext
from strake_builder.context.filtered import ContextFiles
from strake_builder.output.push import Pusher
from strake_builder.output.signing import Signer
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copying.content_digest import FileDigests
from strake_builder.solve.cache_mounts.kept import KeptMounts
from strake_builder.solve.caching.lookup import CacheUse
from strake_builder.solve.clients import RegistryClients
from strake_builder.solve.fetching.contexts import ContextFetcher
from strake_builder.solve.fetching.moments import ContextMoments
from strake_builder.solve.fetching.remote import RemoteSources
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.phases import Phases
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_builder.solve.planning.requested import Requested
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.cancellation import Cancellation
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_builder.solve.planning.checks import PreparedCheck
    from strake_builder.solve.planning.scan import Scan


@dataclass(frozen=True, slots=True)
class StepSources:
    """What steps read from, besides other stages.

    Attributes:
        context: the build context.
        named: the files of named contexts that steps read, by name.
        images: knows images.
        remote: fetches what ADD names.
        digests: remembers those of files that steps read.
        fetched: how contexts came, by name; "" is the build context.
    """

    context: ContextFiles
    named: Mapping[str, ContextFiles]
    images: BaseImages
    remote: RemoteSources
    digests: FileDigests
    fetched: Mapping[str, FetchedContext]


@dataclass(frozen=True, slots=True)
class Registries:
    """How registries are talked to.

    Attributes:
        clients: talk to them.
        pusher: writes to the destinations.
    """

    clients: RegistryClients
    pusher: Pusher


@dataclass(frozen=True, slots=True)
class Pools:
    """The threads of background work.

    Attributes:
        pull: manifests are resolved, layers unpacked and files downloaded here.
        cache: results are put into caches here.
        export: layers are written here.
        push: blobs are brought to the destinations here.
    """

    pull: Executor
    cache: Executor
    export: Executor
    push: Executor


@dataclass(frozen=True, slots=True)
class Progress:
    """Where progress is reported.

    Attributes:
        reporter: hears of steps, transfers and warnings.
        phases: times the phases of the build.
    """

    reporter: Reporter
    phases: Phases


@dataclass(frozen=True, slots=True)
class BuildParts:
    """The parts of a build that outlive an attempt.

    Attributes:
        requested: what to build.
        evaluated: its stages, with nothing left to find out, the one that scans included.
        workspace: where everything is made.
        store: unpacks layers.
        sources: what steps read.
        registries: pull and push.
        caches: the step caches.
        pools: threads.
        progress: hears of everything.
        kept_mounts: brings cache mounts from the cache's repository; None where they do not travel.
        scan: makes the SBOM; None where none is wanted.
        checks: what the image must pass before its tags move.
    """

    requested: Requested
    evaluated: EvaluatedBuild
    workspace: Workspace
    store: LayerStore
    sources: StepSources
    registries: Registries
    caches: CacheUse
    pools: Pools
    progress: Progress
    kept_mounts: KeptMounts | None = None
    scan: Scan | None = None
    checks: tuple[PreparedCheck, ...] = ()

    @property
    def written(self) -> EvaluatedBuild:
        """The stages that the Dockerfile has."""
        return self.evaluated if self.scan is None else self.scan.scanned


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all images of a build share.

    Attributes:
        workspace: where everything is made.
        layers: the directory that layers are unpacked into.
        context: the build context.
        fetcher: of named contexts.
        moments: the times of contexts.
        signer: of what is pushed; None where that is not signed.
        progress: hears of everything.
        started: when the build began.
        kept_mounts: brings cache mounts from the cache's repository; None where they do not travel.
        cancellation: stops the build.
        sources: stops what the build fetches; no attempt does.
    """

    workspace: Workspace
    layers: str
    context: FetchedContext
    fetcher: ContextFetcher
    moments: ContextMoments
    signer: Signer | None
    progress: Progress
    started: datetime
    kept_mounts: KeptMounts | None
    cancellation: Cancellation
    sources: Cancellation
