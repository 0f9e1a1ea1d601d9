"""A build's registry clients, and how they end with it.

Nobody waits for a registry when the build has failed or was stopped: it may be silent for minutes. Only what
steps made before one failed is worth a little patience, since the next build need not run them again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Self

from strake_builder.solve.inputs import BuildCredentials
from strake_oci.cancellation import Cancellation
from strake_oci.registry.client import RegistryClient
from strake_oci.registry.settings import ClientSettings

KEEPING: Final = 10.0
"""Seconds after a failure that a cache's repository has to take step results."""


class RegistryClients:
    """Talks to all the registries of a build. Thread-safe; leaving the context closes everything.

    Args:
        settings: how registries are reached.
        pulling: how those of base images are, None where it is no different.
        credentials: open them.
        warn: hears of mirrors that serve something else than they should.
        cancellation: ends everything that is under way.

    Attributes:
        pulling: reads base images and cached layers.
        pushing: writes to the destinations.
        caching: reads and writes the cache's repository.
    """

    def __init__(
        self,
        settings: ClientSettings,
        pulling: ClientSettings | None,
        credentials: BuildCredentials,
        warn: Callable[[str], None],
        cancellation: Cancellation,
    ) -> None:
        client = partial(RegistryClient, warn=warn, cancellation=cancellation)
        self.pulling = client(pulling or settings, credentials.pull)
        self.pushing = client(settings, credentials.push)
        self.caching = client(settings, credentials.push)
        self._last = threading.Timer(KEEPING, self.caching.stop)
        self._last.daemon = True
        self._lock = threading.Lock()
        self._is_abandoned = False

    def abandon(self) -> None:
        """End what only the image needs, and soon what goes to the cache."""
        self.pulling.stop()
        self.pushing.stop()
        with self._lock:
            if not self._is_abandoned:
                self._is_abandoned = True
                self._last.start()

    @contextlib.contextmanager
    def abandoned_on_failure(self) -> Iterator[None]:
        """Abandon the image when the context ends with an error."""
        try:
            yield
        except BaseException:
            self.abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last.cancel()
        for client in (self.pulling, self.pushing, self.caching):
            client.close()
