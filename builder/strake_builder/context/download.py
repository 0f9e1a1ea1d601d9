"""Downloads a file for ADD: streamed, bounded, its checksum proven before anything uses it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import BinaryIO, Final

from strake_builder import interrupt
from strake_builder.context.git.fetch import redact_url
from strake_builder.errors import SourceError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.progress.transfer import Transfer
from strake_oci.errors import ErrorContext, OCIError, RegistryError
from strake_oci.http.endpoint import Endpoint
from strake_oci.http.transport import Answer, Request, Transport
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass

SIZE_LIMIT: Final = 32 << 30
"""Bytes. A server that sends without end fills no disk beyond this."""
Watch = Callable[[str, int, int | None], None]
"""Hears what is downloaded, as it may be shown; the bytes so far; and all, None where nobody knows."""
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_HEADER_MAX: Final = 1024
_GZIP: Final = frozenset({"gzip", "x-gzip"})
"""Two names of one content coding (RFC 9110, section 8.4.1.3)."""


def unwatched(_source: str, _done: int, _total: int | None) -> None:
    """Hear of a download that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a download is made with.

    Attributes:
        transport: asks the server; it has the rules of what may be reached.
        limit: bytes at most.
        watch: hears of bytes as they come, and of the end.
    """

    transport: Transport
    limit: int = SIZE_LIMIT
    watch: Watch = unwatched


@dataclass(frozen=True, slots=True)
class Validators:
    """What of a server's answer distinguishes a file from a later one (RFC 9110, section 8.8).

    Attributes:
        etag: its ETag, or empty.
        last_modified: its Last-Modified, or empty.
    """

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was downloaded.

    Attributes:
        sha256: of its content, in hex.
        size: in bytes.
        validators: what the server says of it.
    """

    sha256: str
    size: int
    validators: Validators

    @property
    def modified(self) -> int | None:
        """When it was last modified, in nanoseconds since 1970, if the server says so."""
        return _nanoseconds(self.validators.last_modified)


def download(
    url: str,
    path: str | None,
    checksum: str | None,
    tools: Tools,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Download:
    """Download a URL into a new file.

    Args:
        url: http or https.
        path: the file to make; None keeps nothing of what is read.
        checksum: "sha256:…", "sha384:…" or "sha512:…" that the content must have, or None.
        tools: the connection, and limits.
        headers: sent to the URL's server, and to none that it redirects to.

    Raises:
        SourceError: it cannot be had, is too large, or has another checksum.
        OSError: the file cannot be written.
    """
    found = download_if_changed(url, path, checksum, Validators(), tools, headers)
    if found is None:
        raise SourceError(f"{redact_url(url)} answered with status {_NOT_MODIFIED}, which was not asked for")
    return found


def download_if_changed(
    url: str,
    path: str | None,
    checksum: str | None,
    known: Validators,
    tools: Tools,
    extra: Mapping[str, str] = MappingProxyType({}),
) -> Download | None:
    """Download a URL into a new file, unless the server says that it is as known; then return None.

    Args:
        url: as for `download`, which also tells the rest.
        path: likewise.
        checksum: likewise.
        known: the validators that the server sent with the file before.
        tools: likewise.
        extra: further headers, likewise.

    Raises:
        SourceError: as `download`.
        OSError: likewise.
    """
    shown = redact_url(url)
    named = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    conditions = {name: value for name, value in named.items() if value}
    headers = {**extra, **conditions}
    digests = _Digests(checksum)
    try:
        endpoint = Endpoint(shown, url)
        context = ErrorContext(registry=shown, operation="downloading")
        with tools.transport.send(endpoint, Request("GET", url, headers), context) as answer:
            if answer.status == _NOT_MODIFIED and conditions:
                return None
            if answer.status != _OK:
                cause = RegistryError(replace(context, status=answer.status), f"status {answer.status}")
                words = f"{shown} answered with status {answer.status}"
                raise SourceError(words, hint="check the URL") from cause
            size = _save(answer, path, digests, shown, tools)
            validators = Validators(
                answer.header("etag")[:_HEADER_MAX], answer.header("last-modified")[:_HEADER_MAX]
            )
    except OCIError as error:
        raise SourceError(error.message, hint=error.hint) from error
    digests.check(shown)
    return Download(digests.sha256, size, validators)


class _Digests:
    """Hashes what comes, with SHA-256 and with what a checksum needs."""

    def __init__(self, checksum: str | None) -> None:
        self._checksum = checksum
        self._algorithm, _, self._expected = (checksum or "sha256:").partition(":")
        self._hashes = {name: hashlib.new(name) for name in {"sha256", self._algorithm}}

    def update(self, data: bytes) -> None:
        for each in self._hashes.values():
            each.update(data)

    @property
    def sha256(self) -> str:
        return self._hashes["sha256"].hexdigest()

    def check(self, shown: str) -> None:
        """Compare with the checksum.

        Raises:
            SourceError: it is another one.
        """
        actual = self._hashes[self._algorithm].hexdigest()
        if self._checksum is not None and actual != self._expected:
            raise SourceError(
                f"{shown} has the checksum {self._algorithm}:{actual}, not {self._checksum}",
                hint="the file changed: check it, then correct the checksum",
            )


def check_file(url: str, path: str, checksum: str | None) -> str:
    """Return the SHA-256 of a file that a URL stands for, in hex, after comparing its checksum.

    Raises:
        SourceError: it has another checksum.
    """
    digests = _Digests(checksum)
    with open(path, "rb") as file:
        for piece in interrupt.pieces(file):
            digests.update(piece)
    digests.check(redact_url(url))
    return digests.sha256


class _Received:
    """The body as it comes, its bytes counted, as something that can be read."""

    def __init__(self, answer: Answer) -> None:
        self._pieces = answer.stream()
        self._left = b""
        self.size = 0

    def read(self, size: int, /) -> bytes:
        if not self._left:
            self._left = next(self._pieces, b"")
            self.size += len(self._left)
        data, self._left = self._left[:size], self._left[size:]
        return data


def _save(answer: Answer, path: str | None, digests: _Digests, shown: str, tools: Tools) -> int:
    """Write the content to a new file, if there is to be one; return its size.

    An object store sends what was stored with `Content-Encoding: gzip` so, whatever the client accepts. It is
    undone, as by BuildKit's HTTP client; the checksum and the limit hold for the content. Any other encoding
    is left as it is, as there.
    """
    received = _Received(answer)
    source: Readable = received
    if answer.header("content-encoding").strip().lower() in _GZIP:
        source = DecompressedStream(received)
        if not source.is_packed:
            raise SourceError(f"{shown} was sent as gzip, but is not", hint="check the object's metadata")
    size, expected = 0, answer.content_length
    progress = Transfer(lambda done: tools.watch(shown, done, expected if done != expected else None))
    with _opened(path) as file:
        try:
            for piece in interrupt.pieces(source):
                size += len(piece)
                progress(received.size - progress.done)
                if size > tools.limit:
                    raise SourceError(f"{shown} is larger than {tools.limit >> 20} MiB")
                digests.update(piece)
                if file is not None:
                    file.write(piece)
        except LayerError as error:
            raise SourceError(f"{shown} was sent as gzip, and {error.message}", hint="try again") from error
    if expected is not None and expected != received.size:
        raise SourceError(f"{shown} ended after {received.size} of {expected} bytes", hint="try again")
    tools.watch(shown, received.size, received.size)
    return size


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    with open(path, "xb") as file:
        os.fchmod(file.fileno(), 0o600)
        yield file


def _nanoseconds(header: str) -> int | None:
    try:
        return int(parsedate_to_datetime(header).timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError):
        return None
