"""Who may use the server: the person who started it, from pages of the server itself, and nobody else.

The server acts with a person's rights in a cluster, and listens where every program of the machine and every
page of the person's browser can send requests. So each request passes four gates:

    Host          one of the server's own names      DNS rebinding
    token         in the first URL, then a cookie    other users and programs of the machine
    Sec-Fetch-Site, Origin     of the server itself  other sites, where a browser tells
    CSRF token    in forms that change something     other sites, in every browser

Answers are kept by no cache, run no script but the server's own file, and are shown in no frame.
Sources: OWASP cheat sheets on CSRF and DNS rebinding; Fetch Metadata (W3C); CSP level 3.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOKEN_BYTES: Final = 32
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with `Origin: null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A redirect would not do: after a click on another site's link, browsers send a SameSite=Strict cookie only
# with requests that the server's own page begins.
_ENTRANCE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Strake</title>
<meta http-equiv="refresh" content="0;url=/"></head><body><main><h1>Strake</h1>
<p><a href="/">Show the builds</a></p></main></body></html>"""
_CLOSED: Final = (
    "This server needs the URL with the token that `kubectl strake ui` printed in the terminal.\n"
    "Open that one, or start the command again.\n"
)
_FOREIGN_HOST: Final = (
    "This is not a name of this server. Open the URL that `kubectl strake ui` printed in the terminal.\n"
)


class Access:
    """The secrets of one run of the server.

    Args:
        authorities: Values of `Host` that are the server's own: `127.0.0.1:8090`.
        port: Where it listens. Cookies belong to a host, so their names tell servers apart.
    """

    def __init__(self, authorities: frozenset[str], port: int) -> None:
        self.authorities = authorities
        self.cookie = f"strake-ui-{port}"
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.csrf = secrets.token_urlsafe(_TOKEN_BYTES)
        self._session = secrets.token_urlsafe(_TOKEN_BYTES)
        self._once: str | None = None

    def once(self) -> str:
        """Return a token that opens the server a single time.

        A browser that is started gets its URL as an argument, which every user of the machine can read.
        """
        self._once = secrets.token_urlsafe(_TOKEN_BYTES)
        return self._once

    def enters(self, token: str) -> bool:
        """Say whether a token of a URL opens the server."""
        if self._once is not None and _same(token, self._once):
            self._once = None
            return True
        return _same(token, self.token)

    def knows(self, cookies: str) -> bool:
        """Say whether a request's cookies are those of a browser that was let in."""
        try:
            found = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return found is not None and _same(found.value, self._session)

    def set_cookie(self) -> str:
        """Return the header that lets a browser in until it is closed."""
        return f"{self.cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"

    def permits_change(self, token: str) -> bool:
        """Say whether a form was one of the server's own."""
        return _same(token, self.csrf)


class Guard:
    """Lets requests through to the pages, or answers in their stead (ASGI middleware).

    Args:
        pages: What is guarded.
        access: Tells who may.
    """

    def __init__(self, pages: ASGIApp, access: Access) -> None:
        self._pages = pages
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks WebSocket: the server closes the connection

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._refusal(scope, Headers(scope=scope))
        await (answer or self._pages)(scope, receive, sent)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        if headers.getlist("host") not in [[each] for each in self._access.authorities]:
            return PlainTextResponse(_FOREIGN_HOST, 421)
        given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token")
        if given and scope["path"] == "/" and scope["method"] == "GET" and self._access.enters(given[0]):
            return HTMLResponse(_ENTRANCE, headers={"Set-Cookie": self._access.set_cookie()})
        if not self._access.knows(headers.get("cookie", "")):
            return PlainTextResponse(_CLOSED, 403)
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return PlainTextResponse("Only this server's own pages may send this request.\n", 403)
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._access.authorities:
            return PlainTextResponse("Only this server's own pages may send this request.\n", 403)
        return None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
