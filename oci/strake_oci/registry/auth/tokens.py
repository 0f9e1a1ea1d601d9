"""Bearer tokens: asked for per set of scopes, shared by threads, renewed before they expire.

Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode, urlsplit

from pydantic import Field

from strake_oci.errors import ErrorContext, InvalidDocumentError, ProtocolError, SizeExceededError
from strake_oci.http.transport import Request
from strake_oci.http.url_policy import check_url, redacted
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.answers import refusal, refuse_encoding
from strake_oci.spec.wire import Text, WireModel, decode
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.credentials import Credential
    from strake_oci.http.endpoint import Endpoint
    from strake_oci.http.transport import Answer, Transport
    from strake_oci.registry.auth.challenge import Challenge, Scope

_MAX_TOKEN: Final = 256 * 1024
_DEFAULT_LIFETIME: Final = 60.0
_MAX_LIFETIME: Final = 12 * 3600.0
_CLIENT_ID: Final = "strake"
_USED_UP: Final = 0.8
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a token is asked for; the key under which it is shared.

    Attributes:
        endpoint: Whose token it is.
        realm: The token server's URL.
        service: The registry's name there.
        scopes: Sorted.
        credential: Who asks.
    """

    endpoint: Endpoint
    realm: str
    service: str
    scopes: tuple[Scope, ...]
    credential: Credential

    @staticmethod
    def of(
        endpoint: Endpoint, challenge: Challenge, scopes: tuple[Scope, ...], credential: Credential
    ) -> TokenRequest:
        """Return the request that a challenge calls for."""
        return TokenRequest(endpoint, challenge.get("realm"), challenge.get("service"), scopes, credential)


class _TokenModel(WireModel):
    token: Text = ""
    access_token: Text = ""
    expires_in: Annotated[float | None, Field(strict=False)] = None


class TokenCache:
    """Hands out tokens. Thread-safe: while one thread fetches a token, others that want the same wait for it.

    Args:
        transport: Asks the token servers.
        clock: Seconds, monotonic.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._tokens: TTLCache[TokenRequest, str] = TTLCache(clock)

    def get(self, request: TokenRequest, *, tried: str, stale: str = "") -> str:
        """Return a token with some life left.

        Args:
            request: What for.
            tried: Which credential it is and where it was found, for errors.
            stale: A token that the registry has refused: it is not handed out again.

        Raises:
            UnauthorizedError: The token server refused the credential.
            RegistryError: The token server failed or could not be reached.
            ProtocolError: Its answer holds no token, or it may not be asked.
        """
        return self._tokens.get(request, lambda: self._fetch(request, tried), stale=stale)

    def _fetch(self, request: TokenRequest, tried: str) -> tuple[str, float]:
        endpoint = request.endpoint
        names = ", ".join(scope.name for scope in request.scopes)
        context = ErrorContext(endpoint.registry, names, "asking for a token", redacted(request.realm))
        check_url(endpoint, request.realm, context, what="token realm")
        _refuse_clear_text(request, context)
        with self._transport.send(endpoint, _http_request(request), context) as answer:
            if answer.status != _OK:
                raise refusal(answer, context, credential=tried)
            refuse_encoding(answer, context)
            model = _read(answer, context)
        value = model.token or model.access_token
        if not value or not value.isascii() or not value.isprintable():
            raise ProtocolError(context, "the token server's answer holds no token")
        lifetime = min(max(model.expires_in or _DEFAULT_LIFETIME, 0.0), _MAX_LIFETIME)
        return value, lifetime * _USED_UP


def _refuse_clear_text(request: TokenRequest, context: ErrorContext) -> None:
    """Send no secret in clear text to another host than the registry that was declared insecure.

    Raises:
        ProtocolError: The realm wants it.
    """
    if request.credential.is_anonymous:
        return
    realm, home = urlsplit(request.realm), urlsplit(request.endpoint.base).hostname
    if realm.scheme == "http" and realm.hostname != home:
        raise ProtocolError(
            context,
            f"credentials are not sent to the token realm {(realm.hostname or '')[:100]} over plain HTTP",
            hint="let the registry name a token server with TLS, or one on its own host",
        )


def _read(answer: Answer, context: ErrorContext) -> _TokenModel:
    try:
        return decode(_TokenModel, answer.read(_MAX_TOKEN), what="token answer", limit=_MAX_TOKEN)
    except (InvalidDocumentError, SizeExceededError) as error:
        raise ProtocolError(context, f"the token server's answer cannot be read: {error.message}") from error


def _http_request(request: TokenRequest) -> Request:
    credential = request.credential
    scopes = [str(scope) for scope in request.scopes]
    if credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": request.service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": credential.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", request.realm, headers, urlencode(form).encode())
    query = [("service", request.service)] if request.service else []
    query += [("scope", scope) for scope in scopes]
    if credential.username:
        query.append(("account", credential.username))
    glue = "&" if urlsplit(request.realm).query else "?"
    headers = {"Authorization": basic(credential)} if credential.username or credential.password else {}
    return Request("GET", f"{request.realm}{glue}{urlencode(query)}", headers)


def describe(credential: Credential) -> str:
    """Return which credential is used, for the message of an error."""
    what = "credential"
    if credential.identity_token or credential.registry_token:
        what = "identity token" if credential.identity_token else "registry token"
    who = f" of user {credential.username}," if credential.username else ""
    return f"with the {what}{who} from {credential.source}"


def basic(credential: Credential) -> str:
    """Return the Authorization header of the Basic scheme (RFC 7617)."""
    pair = f"{credential.username}:{credential.password}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
