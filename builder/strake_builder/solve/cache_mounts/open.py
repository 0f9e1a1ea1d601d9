"""Says whether the cache mounts of a build outlive its machine, and opens the repository that has them."""

from __future__ import annotations

import contextlib

from strake_api.requests.build import BuildRequest
from strake_builder.cache.mounts.repository import MountRepository
from strake_builder.progress.reporter import Reporter
from strake_builder.solve.cache_mounts.kept import KeptMounts
from strake_builder.solve.caching.open import cache_repository
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.cancellation import Cancellation
from strake_oci.registry.client import RegistryClient


def open_kept_mounts(
    request: BuildRequest,
    inputs: BuildInputs,
    workspace: Workspace,
    reporter: Reporter,
    cancellation: Cancellation,
    scope: contextlib.ExitStack,
) -> KeptMounts | None:
    """Return what brings cache mounts from the cache's repository and back; None where nothing does.

    A cache directory has them itself, as they are, so nothing is asked of a repository then.

    Args:
        request: names the repository.
        inputs: names the directory, and what opens registries.
        workspace: where mounts are unpacked.
        reporter: hears of them.
        cancellation: stops the build.
        scope: closes the connections.

    Raises:
        InvalidRequestError: the repository is none.
    """
    asked = request.cache
    if not (asked.enabled and asked.mounts and asked.repository) or inputs.cache.path is not None:
        return None
    repository = cache_repository(asked.repository)

    def opened() -> MountRepository:
        client = RegistryClient(
            inputs.registries, inputs.credentials.push, warn=reporter.warn, cancellation=cancellation
        )
        scope.callback(client.close)
        return MountRepository(client, repository)

    return KeptMounts(opened, workspace, reporter, limit=asked.mount_limit, writes=asked.writes)
