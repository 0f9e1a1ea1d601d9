"""Opens what a build keeps and finds again: caches of steps, and what ADD downloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import timedelta
from typing import Final

from strake_api.requests.build import BuildRequest
from strake_builder.cache.directories import make_directory
from strake_builder.cache.inline import InlineCache, InlineSource
from strake_builder.cache.layout import LayoutCache
from strake_builder.cache.local import BLOBS, STEPS, LocalCache
from strake_builder.cache.registry import RegistryCache
from strake_builder.cache.step_cache import StepCache
from strake_builder.cache.usage import Usage, prune
from strake_builder.context.download import Watch
from strake_builder.context.downloads import Downloads, remove_download
from strake_builder.context.remote_secrets import RemoteSecrets
from strake_builder.errors import BaseImageError, InvalidRequestError
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.solve.caching.lookup import NO_CACHE, CacheUse
from strake_builder.solve.fetching.remote import RemoteSources
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.inputs import BuildInputs, CacheDirectory
from strake_builder.solve.workspace.scratch import remove_abandoned, remove_at_once
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.cancellation import Cancellation
from strake_oci.errors import InvalidValueError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference, Repository

Warn = Callable[[str], None]
LAYERS: Final = "layers"
USAGE: Final = "usage"
DOWNLOADS: Final = "downloads"


def cache_usage(cache: CacheDirectory, scope: contextlib.ExitStack) -> Usage | None:
    """Return who uses what of the cache directory, None without one; it is pruned when the scope ends.

    Raises:
        InvalidRequestError: the directory cannot be used.
    """
    directory = cache.path
    if directory is None:
        return None
    try:
        make_directory(directory)
        for name in (LAYERS, BLOBS, STEPS, USAGE):
            make_directory(os.path.join(directory, name), 0o700)
        remove_abandoned(os.path.join(directory, LAYERS))
    except OSError as error:
        raise InvalidRequestError(
            f"cannot use the cache directory {directory}: {error.filename}: {error.strerror}",
            hint="name another with --cache-dir",
        ) from error
    usage_directory = os.path.join(directory, USAGE)
    if cache.limit is not None:
        scope.callback(prune, usage_directory, cache.limit, lambda name: _remove(directory, name))
    return scope.enter_context(Usage(usage_directory))


def open_caches(
    request: BuildRequest,
    inputs: BuildInputs,
    usage: Usage | None,
    clients: tuple[RegistryClient, BaseImages],
    plan: BuildPlan,
    warn: Warn,
) -> CacheUse:
    """Return the step caches of a build, `NO_CACHE` where it has none.

    Args:
        request: names repository and images.
        inputs: names the directory, and the layout.
        usage: of the directory.
        clients: writes to the repository; reads images.
        plan: its stages may have to run anew.
        warn: hears of what a cache cannot do.

    Raises:
        InvalidRequestError: a name is no reference, or there is no stage of a name.
    """
    asked, caches = request.cache, list[StepCache]()
    pushing, images = clients
    if not asked.enabled:
        return NO_CACHE
    if inputs.cache.path is not None and usage is not None:
        caches.append(LocalCache(inputs.cache.path, usage, warn))
    if asked.repository is not None:
        siblings = tuple(Reference.parse(text).repository for text in request.output.destinations)
        caches.append(
            RegistryCache(
                pushing,
                cache_repository(asked.repository),
                timedelta(seconds=asked.ttl_seconds),
                warn,
                writes=asked.writes,
                siblings=siblings if inputs.outputs.push else (),
            )
        )
    if inputs.cache.layout is not None:
        ttl = timedelta(seconds=asked.ttl_seconds)
        caches.append(LayoutCache(inputs.cache.layout, ttl, warn, writes=asked.writes))
    for text in asked.images:
        _reference(text)
        caches.append(InlineCache(text, _loader(images, text, plan.platform), warn))
    fresh = frozenset(_stage(plan, name) for name in asked.fresh_stages)
    if not caches and not asked.inline:
        return NO_CACHE
    return CacheUse(tuple(caches), reads=asked.reads, fresh_stages=fresh)


def open_remote_sources(
    inputs: BuildInputs,
    workspace: Workspace,
    usage: Usage | None,
    pool: Executor,
    cancellation: Cancellation,
    watch: Watch,
    warn: Warn,
) -> RemoteSources:
    """Return what fetches for ADD, and keeps what URLs have in the cache directory if there is one.

    Args:
        inputs: name the directory, the secrets and the networks that are not reached.
        workspace: where what is fetched lies.
        usage: of the cache directory.
        pool: where it is fetched.
        cancellation: ends it.
        watch: hears of bytes as they come.
        warn: hears of secrets that are not sent.
    """
    networks, kept = inputs.registries.networks, inputs.cache.path
    if kept is None or usage is None:
        downloads = Downloads(cancellation=cancellation, networks=networks, watch=watch)
    else:
        downloads = Downloads(os.path.join(kept, DOWNLOADS), usage.hold, cancellation, networks, watch)
    given = inputs.run
    secrets = RemoteSecrets(given.secrets, given.ssh_keys, given.ssh_sockets, warn)
    return RemoteSources(workspace, downloads, pool, cancellation, networks, watch, secrets)


def _stage(plan: BuildPlan, name: str) -> int:
    stage = plan.stage_by_name(name)
    if stage is None and name.isdecimal() and int(name) < len(plan.every_stage):
        return int(name)
    if stage is None:
        known = ", ".join(s.name for s in plan.every_stage if s.name) or "none has a name"
        raise InvalidRequestError(
            f"there is no stage {name!r} to run without the cache", hint=f"stages: {known}"
        )
    return stage.index


def cache_repository(text: str) -> Repository:
    """Return the repository that a request names for its cache.

    Raises:
        InvalidRequestError: it is none, or has a tag or a digest.
    """
    reference = _reference(text)
    if reference.tag is not None or reference.digest is not None:
        raise InvalidRequestError(
            f"the cache repository {text!r} has a tag or digest", hint="name the repository alone"
        )
    return reference.repository


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except InvalidValueError as error:
        raise InvalidRequestError(f"the cache {text!r} is no reference: {error.message}") from error


def _loader(images: BaseImages, text: str, platform: Platform) -> Callable[[], InlineSource | None]:
    def load() -> InlineSource | None:
        try:
            image = images.request(text, platform).result()
        except BaseImageError:
            return None  # the first build has no image of the one before
        return InlineSource(image.annotations, image.layers)

    return load


def _remove(directory: str, name: str) -> None:
    """Remove an object that nobody uses: a download, `layer-…` which is a directory, or else a blob."""
    if remove_download(os.path.join(directory, DOWNLOADS), name):
        return
    if name.startswith("layer-"):
        path = os.path.join(directory, LAYERS, name.removeprefix("layer-"))
        if os.path.isdir(path):
            remove_at_once(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, BLOBS, name))
