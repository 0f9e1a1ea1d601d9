"""Answers of the API server that are read as they come, such as logs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

_LONGEST_LINE: Final = 1 << 20


def abort(response: aiohttp.ClientResponse) -> None:
    """End a stream that has not ended.

    Its socket is closed in the next turn of the event loop. A connection with TLS that is only closed waits
    for the API server's answer, and its socket stays open where the event loop ends meanwhile.
    """
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def whole_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream that are whole.

    One that is too long is left out with all of it: its rest must not be taken for a line. Where chunks come
    faster than they are read, other tasks have their turn between two.
    """
    rest, skipping = b"", False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not skipping:
                yield line
            skipping = False
        if skipping or len(rest) > _LONGEST_LINE:
            rest, skipping = b"", True
        await asyncio.sleep(0)
