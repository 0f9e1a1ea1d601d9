"""Asks a build's step caches, in their order, and gives them what is to be kept: all the I/O of caching."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, StepCache
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest

_LOOKUPS: Final = 16


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How a build uses its caches.

    Attributes:
        caches: where results are looked for, in this order, and kept.
        reads: whether results are looked for.
        fresh_stages: indices of stages whose results are not looked for.
        enabled: whether results have keys at all; the build may keep them in its image only.
    """

    caches: tuple[StepCache, ...]
    reads: bool = True
    fresh_stages: frozenset[int] = frozenset()
    enabled: bool = True

    def reads_for(self, stage: int) -> bool:
        """Say whether results of a stage's steps are looked for."""
        return self.reads and stage not in self.fresh_stages

    def lookup(self, key: Key, distrusted: frozenset[Digest] = frozenset()) -> CachedStep | None:
        """Return the first cache's result under a key, None where none has one.

        Args:
            key: the key.
            distrusted: digests of layers that turned out broken; a result with one of them is none.
        """
        for cache in self.caches:
            found = cache.lookup(key)
            if found is not None and not (found.layer and found.layer.descriptor.digest in distrusted):
                return found
        return None

    def lookup_all(self, keys: Collection[Key], distrusted: frozenset[Digest]) -> dict[Key, CachedStep]:
        """Return what `lookup` finds under each of many keys, several at a time."""
        if not keys:
            return {}
        with ThreadPoolExecutor(_LOOKUPS, "cache-lookup") as pool:
            results = pool.map(lambda key: self.lookup(key, distrusted), keys)
            return {key: result for key, result in zip(keys, results, strict=True) if result is not None}

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Keep a result under keys in every cache."""
        for cache in self.caches:
            cache.store(keys, result)


NO_CACHE: Final = CacheUse((), reads=False, enabled=False)
"""Of a build that neither uses nor keeps results."""
