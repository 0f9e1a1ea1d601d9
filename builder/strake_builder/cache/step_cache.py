"""What a store of step results can do, whether it is a directory, a repository or an image.

An entry is written once, under several keys that all mean the same result. A lookup gets
where its layer lies, not the layer: a build that only needs the image's manifest never reads it.
A cache is never trusted with the build: what it says is checked, and what it cannot do is a miss.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from strake_builder.cache.keys import Key
from strake_builder.layers.blobs import StoredLayer
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass

Open = Callable[[], AbstractContextManager[Readable]]
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CachedStep:
    """The result of a step.

    Attributes:
        layer: what it changed, and where that lies; None where it changed nothing.
        created: when the step ended, in UTC.
        outline: in place of a layer, what a step must know of its lower layers (`rootfs.outline`): a tar
            stream, gzipped, of some kB.
    """

    layer: StoredLayer | None
    created: datetime
    outline: bytes | None = None


class StepCache(Protocol):
    """Keeps results of steps. Thread-safe; `lookup` and `store` raise nothing but a cancelled build."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    def lookup(self, key: Key) -> CachedStep | None:
        """Return the result under a key, or None where there is none that is sound."""
        ...

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Keep a result under keys; what cannot be kept is warned about."""
        ...
