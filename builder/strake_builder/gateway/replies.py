"""What becomes of a request: the registry's answer on its way to the executor, or why there is none."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from http import HTTPStatus
from types import TracebackType
from typing import Final

from strake_builder.gateway.errors import (
    JSON_TYPE,
    ForbiddenNetworkError,
    GatewayError,
    MissingCertificateError,
    UntrustedError,
    error_body,
)
from strake_oci.errors import (
    ClientCertificateError,
    ConnectionFailedError,
    CredentialError,
    ForbiddenAddressError,
    OCIError,
    RegistryError,
    TLSError,
)
from strake_oci.http.transport import Answer
from strake_oci.lazy_dataclass import dataclass

_REFUSALS: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way to the executor.

    Attributes:
        status: of HTTP.
        headers: those that mean something to the executor. Content-Length is the body's own.
        body: pieces, as they come.
        relay: sends a body that has a Content-Length to a socket, and returns how many bytes it was; None has
            the pieces sent.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    relay: Callable[[socket.socket], int] | None = None


class Replied:
    """A reply, whose answer is let go of at the end of the context."""

    def __init__(self, reply: Reply, answer: Answer | None = None) -> None:
        self._reply = reply
        self._answer = answer

    def __enter__(self) -> Reply:
        return self._reply

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None:
            self._answer.close()


def unreached(error: ConnectionFailedError) -> GatewayError:
    """Return why no registry answered: it is tried again, where that may help."""
    match error:
        case ClientCertificateError():
            return MissingCertificateError(advice(error))
        case ForbiddenAddressError():
            return ForbiddenNetworkError(advice(error))
        case TLSError():
            return UntrustedError(advice(error))
        case _:
            return GatewayError(advice(error))


def advice(error: OCIError) -> str:
    """Return why, in whose words, and what to try; the executor adds what it asked for, and where."""
    parts = [error.message, error.hint]
    if isinstance(error, RegistryError):
        parts = [error.reason, error.context.detail, error.hint]
    return "; ".join(filter(None, parts))


def refused(error: OCIError) -> Reply:
    """Return what a registry refused, with the credential that it refused and what to try."""
    if isinstance(error, CredentialError):
        status = int(HTTPStatus.UNAUTHORIZED)
    elif isinstance(error, RegistryError):
        status = error.context.status or int(HTTPStatus.BAD_GATEWAY)
    else:
        status = int(HTTPStatus.BAD_GATEWAY)
    body = error_body("DENIED" if status in _REFUSALS else "UNAVAILABLE", advice(error))
    headers = {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    return Reply(status, headers, (body,))
