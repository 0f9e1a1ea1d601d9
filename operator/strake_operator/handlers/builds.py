"""Reads ImageBuilds: from what the watch knows where that will do, else from the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_operator.errors import GoneError, NotFoundError
from strake_operator.kube.reading import read_build

if TYPE_CHECKING:
    from strake_operator.handlers.queue import Key
    from strake_operator.kube.cluster import Cluster
    from strake_operator.kube.watched import Watched
    from strake_operator.reconcile.observed import Build


class BuildReader:
    """ImageBuilds to reconcile.

    Args:
        cluster: Where they are.
        watched: What the watches know; None has each read from the API server.
    """

    def __init__(self, cluster: Cluster, watched: Watched | None) -> None:
        self._cluster = cluster
        self._watched = watched

    async def read(self, key: Key) -> Build:
        """Return an ImageBuild as the watch knows it, or as it is.

        Raises:
            GoneError: There is none of this name.
        """
        body = None if self._watched is None else self._watched.builds.get(key.namespace, key.name)
        return await self.fresh(key) if body is None else read_build(body)

    async def fresh(self, key: Key) -> Build:
        """Return an ImageBuild as it is. Of one that is gone nothing is kept: watches miss deletions.

        Raises:
            GoneError: There is none of this name.
        """
        before = self._version(key)
        try:
            return await self._cluster.build(key.namespace, key.name)
        except NotFoundError as error:
            if self._watched is not None and self._version(key) == before:
                self._watched.build(key.namespace, key.name, None, ended=False)
                self._watched.builds.forget(key.namespace, key.name)
            raise GoneError(str(error)) from error

    def doubt(self, key: Key) -> None:
        """Have the next read of an ImageBuild ask the API server."""
        if self._watched is not None:
            self._watched.builds.doubt(key.namespace, key.name)

    def _version(self, key: Key) -> int | None:
        return None if self._watched is None else self._watched.builds.version(key.namespace, key.name)
