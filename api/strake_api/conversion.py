"""From an ImageBuild's spec to the BuildRequest that carries it out, in a cluster or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.cache import BuildCache
from strake_api.request import (
    BuildRequest,
    Cache,
    DirectorySource,
    GitSource,
    InlineSource,
    Output,
    Registries,
    Source,
)
from strake_api.values.duration import parse_duration

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec


def build_request(
    spec: ImageBuildSpec,
    *,
    config_map_directory: str,
    work_directory: str,
    registries: Registries,
    cache_repository: str | None = None,
    git_directory: str | None = None,
    fetched_directory: str | None = None,
) -> BuildRequest:
    """Return the request that builds what a spec asks for.

    Args:
        spec: A validated spec.
        config_map_directory: Absolute path where the content of `source.configMap` is found, if there is one.
        work_directory: Absolute path of the builder's work directory.
        registries: Paths of credentials, and how registries are reached.
        cache_repository: Where results of steps are kept if the spec names no repository and does not object.
        git_directory: Absolute path where the Secret `source.git.secret` is found, if there is one.
        fetched_directory: Absolute path where `strake fetch` puts a git source; None where it does not.
    """
    if spec.source.git is not None:
        git = spec.source.git
        credentials = git_directory if git.secret is not None else None
        source = Source(
            git=GitSource(
                url=git.url,
                ref=git.ref,
                path=git.path,
                fetched=fetched_directory,
                credentials=credentials,
            )
        )
    elif spec.source.inline is not None:
        source = Source(inline=InlineSource(files=spec.source.inline))
    else:
        source = Source(directory=DirectorySource(path=config_map_directory))
    return BuildRequest(
        source=source,
        dockerfile=spec.dockerfile,
        target=spec.target,
        args=spec.args,
        platform=spec.platform,
        output=Output(**dict(spec.output)),
        registries=registries,
        cache=_cache(spec.cache or BuildCache(), cache_repository),
        work_directory=work_directory,
        timeout_seconds=parse_duration(spec.timeout),
        host_aliases=(spec.pod and spec.pod.host_aliases) or (),
    )


def _cache(cache: BuildCache, default: str | None) -> Cache:
    return Cache(
        enabled=cache.enabled,
        repository=cache.repository or (default if cache.enabled else None),
        ttl_seconds=parse_duration(cache.ttl),
        images=cache.images,
        inline=cache.inline,
        reads=not cache.no_cache,
        writes=not cache.read_only,
        fresh_stages=cache.no_cache_filter,
    )
