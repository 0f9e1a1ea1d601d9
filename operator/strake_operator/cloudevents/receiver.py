"""Posts an event to the receiver. Of an answer only its status counts: its body is not read."""

from __future__ import annotations

import contextlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from strake_operator.cloudevents.event import signed_headers
from strake_operator.cloudevents.settings import read_keys
from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from strake_operator.cloudevents.event import CloudEvent
    from strake_operator.cloudevents.settings import EventSettings

ANSWER_SECONDS: Final = 10.0
"""How long a receiver may take, from the look-up of its name to the end of its answer's headers."""


class Receiver:
    """The receiver of events.

    Args:
        settings: Where it is, and the keys.
        session: The connections.
    """

    def __init__(self, settings: EventSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session

    def __str__(self) -> str:
        return self._settings.receiver

    async def post(self, event: CloudEvent) -> str | None:
        """Send an event; return why it did not arrive, None where it did.

        A redirect is followed nowhere: it could lead away from where the platform wants its events.
        """
        try:
            headers = signed_headers(event, read_keys(self._settings.key_file), int(time.time()))
            async with self._session.post(
                self._settings.url, data=event.body, headers=headers, allow_redirects=False
            ) as response:
                response.close()  # the connection with it: a body may have no end
                status = response.status
        except SettingsError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {ANSWER_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Words of the library may have the URL, which may be a secret.
            return type(error).__name__
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        is_redirect = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
        return f"it answered {status}" + (", and redirects are not followed" if is_redirect else "")


@contextlib.asynccontextmanager
async def receiver_of(settings: EventSettings) -> AsyncIterator[Receiver]:
    """Yield the receiver; its connections end with the context."""
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    async with session:
        yield Receiver(settings, session)
