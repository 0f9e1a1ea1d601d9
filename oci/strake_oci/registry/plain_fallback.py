"""Registries that may be spoken to without TLS: only where they have none.

"Insecure" means two things to people: a registry without TLS, and one that may be without. kaniko, and the
library that it is made of, try TLS first. Nothing secret is sent to find out.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_oci.errors import (
    ConnectionFailedError,
    DNSError,
    ErrorContext,
    ForbiddenAddressError,
    PlainServerError,
    TLSError,
)
from strake_oci.http.transport import Request

if TYPE_CHECKING:
    from strake_oci.http.endpoint import Endpoint
    from strake_oci.http.transport import Transport


_CUT: Final = "EOF"
"""What OpenSSL calls it when a server that does not understand TLS hangs up."""


class PlainFallback:
    """Finds out which registries speak TLS, each once. Thread-safe.

    Args:
        transport: Asks them.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._known: dict[str, Endpoint] = {}

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with TLS as it is, or without where nobody speaks TLS there.

        A certificate that is not trusted is one of a server that speaks TLS: it is never a reason to leave
        TLS out. Nor is a name that does not resolve, or a network that is denied.
        """
        with self._lock:
            if endpoint.registry not in self._known:
                self._known[endpoint.registry] = self._tried(endpoint)
            return self._known[endpoint.registry]

    def _tried(self, endpoint: Endpoint) -> Endpoint:
        context = ErrorContext(endpoint.registry, "", "finding out whether it speaks TLS")
        try:
            self._transport.send(endpoint, Request("GET", f"{endpoint.base}/v2/"), context).drain()
        except (DNSError, ForbiddenAddressError):
            return endpoint
        except TLSError as error:
            if not isinstance(error, PlainServerError) and _CUT not in error.reason:
                return endpoint
        except ConnectionFailedError:
            pass
        else:
            return endpoint
        return replace(endpoint, base=endpoint.base.replace("https://", "http://", 1))
