"""Connections for what speaks no HTTP of ours: to a server whose address was checked, or to a proxy.

They end when they are stopped, as those of the transport do.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpcore

from strake_oci.errors import ConnectionFailedError, DeadlineExceededError
from strake_oci.http.denied_networks import NONE_DENIED
from strake_oci.http.failures import connection_error
from strake_oci.http.network import AddressRefusedError, LimitedBackend

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.errors import ErrorContext
    from strake_oci.http.denied_networks import DeniedNetworks

_SECONDS: Final = 30.0
"""Until a connection stands."""
_PORTS: Final = {"http": 80, "https": 443}


class Connection:
    """A connection that stands.

    Attributes:
        socket: To read from and to write to, without a time limit.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        found = stream.get_extra_info("socket")
        assert isinstance(found, socket.socket)  # noqa: S101 - narrows the type
        found.settimeout(None)
        self.socket = found

    def close(self) -> None:
        """End it; who waits for it comes back."""
        self._stream.close()


def connect(
    host: str, port: int, networks: DeniedNetworks, context: ErrorContext, cancellation: Cancellation
) -> Connection:
    """Connect to a server, unless all of its addresses are denied.

    Args:
        host: A name or an address.
        port: Of TCP.
        networks: What must not be reached.
        context: For errors.
        cancellation: Ends the connection.

    Raises:
        ForbiddenAddressError: It must not be connected to.
        ConnectionFailedError: It cannot be.
    """
    try:
        return Connection(LimitedBackend(cancellation, networks).connect_tcp(host, port, _SECONDS))
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise _explained(error, context) from error


def connect_proxy(url: str, context: ErrorContext, cancellation: Cancellation) -> Connection:
    """Connect to a proxy, with TLS where its URL says so. The platform names it: its address is not checked.

    Raises:
        ConnectionFailedError: It cannot be reached, or has a certificate that is not trusted.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        stream = LimitedBackend(cancellation, NONE_DENIED).connect_tcp(host, port, _SECONDS)
        if parts.scheme == "https":
            stream = stream.start_tls(ssl.create_default_context(), host, _SECONDS)
        return Connection(stream)
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise _explained(error, context) from error


def check_literal(host: str, networks: DeniedNetworks, context: ErrorContext) -> None:
    """Make sure that a host which is an address itself may be asked through a proxy.

    Raises:
        ForbiddenAddressError: It may not.
    """
    if (network := networks.network_of_literal(host)) is not None:
        refused = AddressRefusedError(host, host, network)
        raise connection_error(refused, context) from refused


def _explained(error: Exception, context: ErrorContext) -> ConnectionFailedError:
    if isinstance(error, httpcore.TimeoutException):
        return DeadlineExceededError(context, "no connection in time", hint="check the network path")
    return connection_error(error, context)
