"""Requests to a KMS: JSON both ways, tried again where that may help.

What a service answers is untrusted as any answer: bounded, and shown without what a terminal would obey. The
credentials are in headers, which no error shows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from strake_oci.errors import (
    ErrorContext,
    OCIError,
    RegistryError,
    RejectedError,
    ServerError,
    SigningKeyError,
)
from strake_oci.http.endpoint import Endpoint, Timeouts, TransportSettings
from strake_oci.http.transport import Request, Transport
from strake_oci.http.url_policy import may_have_credentials
from strake_oci.registry.answers import clean
from strake_oci.registry.retry import Retrier, RetryPolicy, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.cancellation import Cancellation

_LIMIT: Final = 256 << 10
_OK: Final = 200
_FIRST_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_TIMES: Final = Timeouts(connect=10.0, read=20.0)
_PATIENCE: Final = RetryPolicy(attempts=4, cap=5.0, deadline=45.0)
"""The executor waits for the answer to its question whether there is a key, for up to two minutes."""
_REFUSED: Final = frozenset({401, 403})


class KeyServer:
    """The server of a KMS. Thread-safe.

    Args:
        base: "https://host"; without TLS it must be this machine.
        right: What an identity needs that is refused, in the service's words.
        cancellation: Ends what is under way.

    Raises:
        SigningKeyError: The server is another machine and has no TLS.
    """

    def __init__(self, base: str, right: str, cancellation: Cancellation | None = None) -> None:
        host = base.partition("://")[2]
        self._endpoint = Endpoint(host, base, any_network=True)
        self._right = right
        self._transport = Transport(TransportSettings(timeouts=_TIMES), cancellation)
        self._retrier = Retrier(_PATIENCE, cancellation)
        if not may_have_credentials(self._endpoint, base):
            raise SigningKeyError(f"{base} has no TLS: it is sent no credentials", hint="use https")

    def ask(
        self,
        operation: str,
        path: str,
        headers: Mapping[str, str],
        document: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object that the server answers.

        Args:
            operation: What is done, for errors: "signing".
            path: Path and query.
            headers: What opens it.
            document: Is posted; None asks with GET.

        Raises:
            SigningKeyError: There is no answer, or it is a refusal.
        """
        try:
            body = self._retrier.run(lambda: self._once(operation, path, headers, document))
        except RegistryError as error:
            hint = f"the identity needs {self._right}" if error.context.status in _REFUSED else error.hint
            detail = f": {error.context.detail}" if error.context.detail else ""
            reason = error.reason.replace("the registry", "the service")
            what = f"{operation} at {self._endpoint.registry} failed: {reason}{detail}"
            raise SigningKeyError(what, hint=hint) from error
        except OCIError as error:
            raise SigningKeyError(f"{operation} failed: {error.message}") from error
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SigningKeyError(f"{operation}: {self._endpoint.registry} answered no JSON") from error
        if not isinstance(found, dict):
            raise SigningKeyError(f"{operation}: {self._endpoint.registry} answered no object")
        return found

    def _once(
        self, operation: str, path: str, headers: Mapping[str, str], document: Mapping[str, Any] | None
    ) -> bytes:
        context = ErrorContext(self._endpoint.registry, operation=operation)
        method, body = ("GET", None) if document is None else ("POST", json.dumps(document).encode())
        kind = {} if body is None else {"Content-Type": "application/json"}
        request = Request(method, f"{self._endpoint.base}{path}", {**headers, **kind}, body)
        with self._transport.send(self._endpoint, request, context) as answer:
            content = answer.read(_LIMIT)
            status, wait = answer.status, parse_retry_after(answer.header("retry-after"), 0.0)
        if status == _OK:
            return content
        told = ErrorContext(
            self._endpoint.registry,
            operation=operation,
            status=status,
            detail=_words(content),
            retry_after=wait,
        )
        passing = status >= _FIRST_SERVER_ERROR or status == _TOO_MANY
        raise (ServerError if passing else RejectedError)(told, f"the service answered with status {status}")


def text_of(document: Mapping[str, Any], *path: str) -> str:
    """Return a text in an answer.

    Raises:
        SigningKeyError: There is none.
    """
    found: object = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found:
        raise SigningKeyError(f"the service's answer has no {'.'.join(path)}")
    return found


def _words(content: bytes) -> str:
    """Return what a refusal says: of Google and Azure `error.message`, of Vault `errors`."""
    try:
        found = json.loads(content)
        match found:
            case {"error": {"message": str(message)}}:
                return clean(message)
            case {"errors": list(errors)}:
                return clean("; ".join(str(each) for each in errors))
            case {"error": str(message)}:
                return clean(message)
            case _:
                return ""
    except (ValueError, RecursionError):
        return ""
