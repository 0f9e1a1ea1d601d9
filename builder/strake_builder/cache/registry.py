"""The step cache in a repository: one artifact a step, tagged with each of its keys.

Layers go from the destination to the cache and back as mounts where the registry is the same one. A
registry that fails costs the build its cache, never the build.
"""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from strake_builder.cache.entry import Entry, UnsoundEntryError, read_entry, write_entry
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, Warn
from strake_builder.layers.blobs import PulledLayer, StoredLayer, WrittenLayer
from strake_oci.errors import ConnectionFailedError, NotFoundError, OCIError, StoppedError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT
from strake_oci.spec.reference import Reference, Repository

_OPERATIONS: Final = frozenset({"looking up", "storing"})


class RegistryCache:
    """A `StepCache` in a repository. Thread-safe.

    Args:
        client: talks to the registry.
        repository: where entries are.
        ttl: entries older than this are misses.
        writes: whether results are kept.
        siblings: repositories that a layer of this build may be in already.
        warn: hears of entries that are left out, and of a registry that fails.
    """

    def __init__(
        self,
        client: RegistryClient,
        repository: Repository,
        ttl: timedelta,
        warn: Warn,
        *,
        writes: bool = True,
        siblings: tuple[Repository, ...] = (),
    ) -> None:
        self._client = client
        self._repository = repository
        self._ttl = ttl
        self._writes = writes
        self._sibling = next((s for s in siblings if s.registry == repository.registry), None)
        self._warn = warn
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._has_config = False

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"the cache {self._repository}"

    def lookup(self, key: Key) -> CachedStep | None:
        """Return the result under a key: one request."""
        if "looking up" in self._failed:
            return None
        try:
            descriptor, data = self._client.manifest(self._repository, key.hex)
            entry = read_entry(data, key, descriptor.media_type)
        except NotFoundError:
            return None
        except UnsoundEntryError as error:
            self._warn(f"an entry of {self.name} is left out: {error}")
            return None
        except OCIError as error:
            self._fail("looking up", error)
            return None
        if entry.created + self._ttl < datetime.now(UTC):
            return None
        layer = PulledLayer(*entry.layer, self._repository) if entry.layer else None
        return CachedStep(layer, entry.created, entry.outline)

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Keep a result: its layer, and one small manifest under every key."""
        if not self._writes or "storing" in self._failed:
            return
        layer = result.layer
        stored = (layer.descriptor, layer.diff_id) if layer else None
        entry = Entry(stored, result.created, result.outline)
        manifest = write_entry(entry, keys)
        try:
            self._push_config()
            if layer is not None:
                self._push_layer(layer)
            for key in keys:
                tag = Reference(self._repository, tag=key.hex)
                self._client.push_manifest(tag, manifest.serialize(), manifest.media_type)
        except (OCIError, OSError) as error:
            self._fail("storing", error)

    def _push_layer(self, layer: StoredLayer) -> None:
        if isinstance(layer, WrittenLayer):
            path = layer.path
            self._client.push_blob(
                self._repository,
                layer.descriptor,
                lambda: open(path, "rb"),  # noqa: SIM115 - its caller closes it
                mount_from=self._sibling,
            )
        elif layer.repository != self._repository:
            self._client.copy_blob(layer.repository, self._repository, layer.descriptor)

    def _push_config(self) -> None:
        with self._lock:
            if not self._has_config:
                self._client.push_blob(self._repository, EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
                self._has_config = True

    def _fail(self, operation: str, error: OCIError | OSError) -> None:
        """Give up an operation for the rest of the build: a dead registry is not asked for every step.

        One that does not answer at all is given up for all operations.
        """
        if isinstance(error, StoppedError):
            return  # the build ended, and tells why
        with self._lock:
            first = operation not in self._failed
            self._failed |= {operation} if not isinstance(error, ConnectionFailedError) else _OPERATIONS
        if first:
            reason = error.message if isinstance(error, OCIError) else error.strerror
            self._warn(f"{operation} steps in {self.name} failed; the build goes on without: {reason}")
