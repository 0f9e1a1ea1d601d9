"""Requests to an API server as plain JSON: a thousand a second, which a client library is too slow for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from strake_operator.kube.streams import abort

Object = dict[str, Any]
BUILDS = "apis/strake.dev/v1alpha1"
BATCH = "apis/batch/v1"
CORE = "api/v1"
_LONGEST_LINE = 1 << 22
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_LATER = frozenset({429, 500, 503, 504})
"""What an API server answers while a cache of its is not filled yet, or its etcd is slow."""


class ApiError(Exception):
    """The API server refused something; the message is its answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    """An API server.

    Args:
        url: Its address.
        token: Of who asks.
    """

    def __init__(self, url: str, token: str) -> None:
        context = ssl._create_unverified_context()
        self._session = aiohttp.ClientSession(
            url,
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(ssl=context, limit=200),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=60),
            read_bufsize=_LONGEST_LINE,
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Object:
        """Return an object or a list."""
        return await self._ask("GET", path, params=query)

    async def create(self, path: str, body: Object) -> Object:
        """Create an object."""
        return await self._ask("POST", path, json=body)

    async def patch(self, path: str, body: Object, *, strategic: bool = False) -> Object:
        """Change a part of an object."""
        kind = _STRATEGIC if strategic else _MERGE
        return await self._ask("PATCH", path, data=json.dumps(body), headers={"Content-Type": kind})

    async def delete(self, path: str, body: Object | None = None) -> Object:
        """Delete an object."""
        return await self._ask("DELETE", path, json=body or {})

    async def _ask(self, method: str, path: str, **arguments: Any) -> Object:
        async with self._request(method, path, **arguments) as answer:
            found: Object = json.loads(await answer.text())
            return found

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, **arguments: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make a request, again after Retry-After where the answer has one, as client-go does."""
        while True:
            async with self._session.request(method, f"/{path}", **arguments) as answer:
                if answer.ok:
                    yield answer
                    return
                text, wait = await answer.text(), answer.headers.get("Retry-After")
            if wait is None or answer.status not in _LATER:
                raise ApiError(answer.status, text)
            await asyncio.sleep(float(wait))  # as the API server asks

    async def watch(
        self, path: str, *, metadata_only: bool = False, **query: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield what is there and each change, as type and object, until the server ends the watch."""
        headers = {"Accept": _METADATA_ONLY} if metadata_only else {}
        query = {"watch": "true", "resourceVersion": "0", **query}
        async with self._request("GET", path, params=query, headers=headers) as answer:
            try:
                async for line in answer.content:
                    event = json.loads(line)
                    yield event["type"], event["object"]
            finally:
                abort(answer)
