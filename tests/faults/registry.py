"""A small registry in memory that misbehaves on request in ways that no real one can be made to show.

    with FaultyRegistry() as registry:
        registry.add(faults.drop_download(after=1000))
        with registry.client() as client: ...

A fault is a function that gets the request first and decides what happens; see `tests.faults.faults`.
"""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from strake_oci.registry import ClientSettings, RegistryClient, RetryPolicy
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

FaultError = Callable[["Exchange"], bool | None]
"""Gets a request; returns True if it has dealt with it, else the registry answers."""

FAST = RetryPolicy(attempts=5, base=0.001, cap=0.01, deadline=20, jitter=0)
_ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")


@dataclass
class Store:
    """What the registry holds."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    command: str
    path: str
    headers: dict[str, str]


class Exchange(BaseHTTPRequestHandler):
    """One request on its way through the registry."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args) -> None:
        pass

    @property
    def registry(self) -> FaultyRegistry:
        return self.server.registry

    def dispatch(self) -> None:
        split = urlsplit(self.path)
        self.route = split.path
        self.query = {key: values[0] for key, values in parse_qs(split.query).items()}
        self.registry.seen.append(Seen(self.command, self.path, dict(self.headers)))
        with contextlib.suppress(ConnectionError):
            for fault in list(self.registry.faults):
                if fault(self):
                    return
            self.serve()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = dispatch  # noqa: N815 the names http.server wants

    def setup(self) -> None:
        self.registry.connections += 1
        super().setup()

    # What a fault may use

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer; header names are written with underscores."""
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Length", str(len(body)))
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, code: str, message: str = "", **headers: str) -> None:
        document = {"errors": [{"code": code, "message": message}]}
        self.reply(status, json.dumps(document).encode(), **headers)

    def body(self) -> Iterator[bytes]:
        """Yield the request's body as it comes."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().strip() or b"0", 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                return
            left -= len(piece)
            yield piece

    def wanted(self, size: int) -> tuple[int, int]:
        """Return the first byte asked for, and the one after the last."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or self.registry.ignore_range:
            return 0, size
        return int(asked[1]), int(asked[2] or size - 1) + 1

    def hang_up(self) -> None:
        """Break the connection."""
        self.close_connection = True
        self.connection.close()

    # The registry proper

    def serve(self) -> None:
        found = _ROUTE.fullmatch(self.route)
        if self.route == "/v2/":
            self.reply(200, b"{}")
        elif found is None:
            self.error(404, "NAME_UNKNOWN")
        else:
            name, kind, rest = found["name"], found["kind"], found["rest"]
            if kind == "blobs" and rest.startswith("uploads/"):
                self.serve_upload(name, rest.removeprefix("uploads/"))
            else:
                getattr(self, f"serve_{kind}")(name, rest)

    def serve_blobs(self, name: str, digest: str) -> None:
        data = self.registry.store.blobs.get((name, digest))
        if data is None:
            self.error(404, "BLOB_UNKNOWN")
            return
        start, stop = self.wanted(len(data))
        if "Range" in self.headers and not self.registry.ignore_range:
            bounds = f"bytes {start}-{stop - 1}/{len(data)}"
            self.reply(206, data[start:stop], Content_Range=bounds, Docker_Content_Digest=digest)
        else:
            self.reply(200, data, Docker_Content_Digest=digest)

    def serve_manifests(self, name: str, identifier: str) -> None:
        store = self.registry.store
        if self.command == "PUT":
            data = b"".join(self.body())
            digest = str(Digest.sha256(data))
            entry = (self.headers["Content-Type"], data)
            store.manifests[name, digest] = store.manifests[name, identifier] = entry
            self.reply(201, Docker_Content_Digest=digest)
        elif (name, identifier) in store.manifests:
            media_type, data = store.manifests[name, identifier]
            self.reply(200, data, Content_Type=media_type, Docker_Content_Digest=str(Digest.sha256(data)))
        else:
            self.error(404, "MANIFEST_UNKNOWN")

    def serve_tags(self, name: str, _rest: str) -> None:
        names = sorted(tag for repo, tag in self.registry.store.manifests if repo == name and ":" not in tag)
        self.reply(200, json.dumps({"name": name, "tags": names}).encode())

    def serve_referrers(self, _name: str, _rest: str) -> None:
        self.error(404, "NOT_FOUND")

    def serve_upload(self, name: str, session: str) -> None:
        store = self.registry.store
        if self.command == "POST":
            for _ in self.body():
                pass
            source = (self.query.get("from", ""), self.query.get("mount", ""))
            if source in store.blobs and not self.registry.refuse_mounts:
                store.blobs[name, source[1]] = store.blobs[source]
                self.reply(201, Location=f"/v2/{name}/blobs/{source[1]}")
                return
            session = uuid.uuid4().hex
            store.uploads[session] = bytearray()
            self.reply(202, Location=f"/v2/{name}/blobs/uploads/{session}?state=0", Range="0-0")
        elif session not in store.uploads:
            for _ in self.body():
                pass
            self.error(404, "BLOB_UPLOAD_UNKNOWN")
        else:
            self.continue_upload(name, session, store.uploads[session])

    def continue_upload(self, name: str, session: str, held: bytearray) -> None:
        store = self.registry.store
        location = f"/v2/{name}/blobs/uploads/{session}?state={len(held)}"
        match self.command:
            case "PATCH" | "PUT":
                start = self.headers.get("Content-Range", f"{len(held)}-").partition("-")[0]
                if int(start) != len(held):
                    self.error(
                        416, "BLOB_UPLOAD_INVALID", Range=f"0-{max(len(held) - 1, 0)}", Location=location
                    )
                    return
                for piece in self.body():
                    held += piece
                if self.command == "PATCH":
                    self.reply(202, Location=location, Range=f"0-{max(len(held) - 1, 0)}")
                    return
                digest = self.query["digest"]
                del store.uploads[session]
                if str(Digest.parse(digest).of(held)) != digest:
                    self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
                    return
                store.blobs[name, digest] = bytes(held)
                self.reply(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)
            case "GET":
                self.reply(204, Location=location, Range=f"0-{max(len(held) - 1, 0)}")
            case "DELETE":
                del store.uploads[session]
                self.reply(204)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    registry: FaultyRegistry

    def handle_error(self, request, client_address) -> None:
        pass  # broken connections are what this server is for


class FaultyRegistry:
    """The registry; a context manager.

    Attributes:
        store: What it holds; tests may put things there.
        faults: Asked in order before the registry answers.
        seen: The requests so far.
        connections: How many were made.
        ignore_range: Answer Range requests with everything.
        refuse_mounts: Never mount.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.faults: list[FaultError] = []
        self.seen: list[Seen] = []
        self.connections = 0
        self.ignore_range = False
        self.refuse_mounts = False
        socketserver.TCPServer.allow_reuse_address = True
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.registry = self
        self.host = f"localhost:{self._server.server_address[1]}"

    def add(self, *faults: FaultError) -> None:
        self.faults.extend(faults)

    def repository(self, path: str = "team/app") -> Repository:
        return Repository(self.host, path)

    def put_blob(self, data: bytes, path: str = "team/app") -> Digest:
        digest = Digest.sha256(data)
        self.store.blobs[path, str(digest)] = data
        return digest

    def put_manifest(self, data: bytes, media_type: str, tag: str, path: str = "team/app") -> None:
        entry = (media_type, data)
        self.store.manifests[path, tag] = self.store.manifests[path, str(Digest.sha256(data))] = entry

    def client(self, *, retry: RetryPolicy = FAST, **options) -> RegistryClient:
        return RegistryClient(ClientSettings.insecure(self.host), retry=retry, **options)

    def requests(self, method: str = "", part: str = "") -> list[str]:
        """The requests so far, as "METHOD path", of a method and with a part in their path."""
        lines = [f"{exchange.command} {exchange.path}" for exchange in self.seen]
        return [line for line in lines if line.startswith(method) and part in line]

    def __enter__(self) -> FaultyRegistry:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
