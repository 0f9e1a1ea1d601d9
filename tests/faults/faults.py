"""Ways to misbehave. Each returns a fault for `FaultyRegistry.add`; most act a number of times and then let go."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.registry import Exchange, FaultError


def sometimes(
    act: Callable[[Exchange], bool | None], *, method: str, path: str, times: int, skip: int = 0
) -> FaultError:
    """Act on the requests of a method whose path matches, so many times, after letting some pass."""
    count = 0
    lock = threading.Lock()

    def fault(exchange: Exchange) -> bool:
        nonlocal count
        if exchange.command not in method.split("|") or not re.search(path, exchange.route):
            return False
        with lock:
            count += 1
            if not skip < count <= skip + times:
                return False
        return act(exchange) is not False

    return fault


def status(
    code: int,
    error: str = "UNKNOWN",
    *,
    method: str,
    path: str = "",
    times: int = 1,
    skip: int = 0,
    **headers: str,
) -> FaultError:
    """Answer with a status instead of doing anything; the body is read, so that the connection lives on."""

    def act(exchange: Exchange) -> None:
        for _ in exchange.body():
            pass
        exchange.error(code, error, **headers)

    return sometimes(act, method=method, path=path, times=times, skip=skip)


def fail_after_doing(code: int, *, method: str, path: str = "", times: int = 1) -> FaultError:
    """Do what was asked, then say that it failed."""

    def act(exchange: Exchange) -> None:
        really = exchange.reply
        # The fault is in one answer of one exchange, so its method is replaced: hence the silenced check.
        exchange.reply = lambda *_args, **_headers: really(code, b"")  # type: ignore[method-assign]
        try:
            exchange.serve()
        finally:
            del exchange.reply  # the object serves the connection's next request too

    return sometimes(act, method=method, path=path, times=times)


def drop_download(*, after: int, times: int = 1, path: str = "/blobs/sha256") -> FaultError:
    """Announce the whole blob, send some bytes of what was asked for, and hang up."""

    def act(exchange: Exchange) -> None:
        name, _, digest = exchange.route.removeprefix("/v2/").partition("/blobs/")
        data = exchange.registry.store.blobs[name, digest]
        start, stop = exchange.wanted(len(data))
        exchange.send_response(206 if start else 200)
        exchange.send_header("Content-Length", str(stop - start))
        if start:
            exchange.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        exchange.end_headers()
        exchange.wfile.write(data[start : min(start + after, stop)])
        exchange.hang_up()

    return sometimes(act, method="GET", path=path, times=times)


def drop_upload(*, after: int, times: int = 1, method: str = "PATCH|PUT") -> FaultError:
    """Take some bytes of an upload and hang up."""

    def act(exchange: Exchange) -> None:
        session = exchange.route.rpartition("/")[2]
        held = exchange.registry.store.uploads[session]
        taken = 0
        for piece in exchange.body():
            part = piece[: after - taken]
            held += part
            taken += len(part)
            if taken >= after:
                break
        exchange.hang_up()

    return sometimes(act, method=method, path="/blobs/uploads/", times=times)


def hang_up(*, method: str, path: str = "", times: int = 1) -> FaultError:
    """Break the connection without an answer."""
    return sometimes(lambda exchange: exchange.hang_up(), method=method, path=path, times=times)


def send(
    body: bytes, *, method: str = "GET", path: str = "", times: int = 10**9, code: int = 200, **headers: str
) -> FaultError:
    """Answer with a body of the test's choice."""
    return sometimes(
        lambda exchange: exchange.reply(code, body, **headers), method=method, path=path, times=times
    )


def lie_about_offset(offset: int, *, times: int = 1) -> FaultError:
    """Claim that an upload has got so far."""
    return sometimes(
        lambda exchange: exchange.reply(204, Location=exchange.path, Range=f"0-{offset - 1}"),
        method="GET",
        path="/blobs/uploads/",
        times=times,
    )


def forget_uploads(*, method: str = "PATCH|PUT", times: int = 1) -> FaultError:
    """Lose the upload and say so."""

    def act(exchange: Exchange) -> None:
        for _ in exchange.body():
            pass
        exchange.registry.store.uploads.pop(exchange.route.rpartition("/")[2], None)
        exchange.error(404, "BLOB_UPLOAD_UNKNOWN")

    return sometimes(act, method=method, path="/blobs/uploads/", times=times)


def redirect(target: str, *, path: str = "/blobs/sha256", times: int = 10**9, code: int = 307) -> FaultError:
    """Send GET and HEAD elsewhere."""
    return sometimes(
        lambda exchange: exchange.reply(code, Location=target), method="GET|HEAD", path=path, times=times
    )


def rename_status(usual: int, code: int, *, method: str, path: str = "") -> FaultError:
    """Do what was asked, and report success with another status than the specification's."""

    def act(exchange: Exchange) -> None:
        really = exchange.reply
        # The fault is in one answer of one exchange, so its method is replaced: hence the silenced check.
        exchange.reply = lambda status, *rest, **headers: really(  # type: ignore[method-assign]
            code if status == usual else status, *rest, **headers
        )
        try:
            exchange.serve()
        finally:
            del exchange.reply  # the object serves the connection's next request too

    return sometimes(act, method=method, path=path, times=10**9)


def move_to_query(query: str, *, method: str, path: str, code: int = 307) -> FaultError:
    """Redirect a request to the same URL with a query, and serve it there."""

    def act(exchange: Exchange) -> bool:
        if query in exchange.path:
            return False
        for _ in exchange.body():
            pass
        glue = "&" if "?" in exchange.path else "?"
        exchange.reply(code, Location=f"{exchange.path}{glue}{query}")
        return True

    return sometimes(act, method=method, path=path, times=10**9)


def refuse_lengthless() -> FaultError:
    """Insist on Content-Length, as some proxies do."""

    def act(exchange: Exchange) -> bool:
        if "Content-Length" in exchange.headers:
            return False
        for _ in exchange.body():
            pass
        exchange.reply(411)
        return True

    return sometimes(act, method="PATCH|PUT", path="/blobs/uploads/", times=10**9)


def refuse_bodies_over(limit: int) -> FaultError:
    """Take no body above a size, as proxies do."""

    def act(exchange: Exchange) -> bool:
        if int(exchange.headers.get("Content-Length", 0)) <= limit:
            return False
        for _ in exchange.body():
            pass
        exchange.reply(413)
        return True

    return sometimes(act, method="PATCH|PUT", path="/blobs/uploads/", times=10**9)


def endless(*, path: str, method: str = "GET") -> FaultError:
    """Send a body that never ends."""

    def act(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        while True:
            exchange.wfile.write(piece)

    return sometimes(act, method=method, path=path, times=10**9)


def raw(start: bytes, piece: bytes, *, pause: float = 0.0) -> FaultError:
    """Send bytes that are no answer yet, and the same piece again and again after them."""

    def act(exchange: Exchange) -> None:
        exchange.wfile.write(start)
        while True:
            exchange.wfile.write(piece)
            time.sleep(pause)

    return sometimes(act, method="GET", path="", times=10**9)


class Tokens:
    """Bearer authentication whose tokens die when the test says so. Add it first.

    With a scope, tokens that were asked for without it are refused, and the challenge names it.
    """

    def __init__(self, scope: str = "") -> None:
        self.scope = scope
        self.narrow: set[str] = set()
        self.issued = 0
        self.dead = 0
        self.asked: list[str] = []

    def __call__(self, exchange: Exchange) -> bool:
        if exchange.route == "/token":
            self.issued += 1
            self.asked.append(exchange.path)
            if self.scope and self.scope not in unquote(exchange.path):
                self.narrow.add(str(self.issued))
            exchange.reply(200, b'{"token":"t%d","expires_in":3600}' % self.issued)
            return True
        sent = exchange.headers.get("Authorization", "").removeprefix("Bearer t")
        if sent and int(sent) > self.dead and sent not in self.narrow:
            return False
        for _ in exchange.body():
            pass
        challenge = f'Bearer realm="http://{exchange.registry.host}/token",service="s"'
        if self.scope:
            challenge += f',scope="{self.scope}"'
        exchange.error(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
        return True

    def kill(self) -> None:
        """Refuse every token handed out so far."""
        self.dead = self.issued


def drip(body: bytes, *, path: str, method: str = "GET") -> FaultError:
    """Send a body byte by byte."""

    def act(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", str(len(body)))
        exchange.end_headers()
        for value in body:
            exchange.wfile.write(bytes([value]))
            time.sleep(0.02)

    return sometimes(act, method=method, path=path, times=10**9)
