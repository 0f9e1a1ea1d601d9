"""Downloads a file for ADD: streamed, bounded, its checksum proven before anything uses it."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Final

from strake_builder.context.git import redact_url
from strake_builder.errors import SourceError
from strake_oci.errors import ErrorContext, OCIError
from strake_oci.registry.settings import ClientSettings, Endpoint
from strake_oci.registry.transport import Answer, Request, Transport

SIZE_LIMIT: Final = 32 << 30
"""Bytes. A server that sends without end fills no disk beyond this."""
_OK: Final = 200


def download(url: str, path: str, checksum: str | None, limit: int = SIZE_LIMIT) -> int | None:
    """Download a URL into a new file; return when it was last modified, in nanoseconds, if the server says.

    Args:
        url: http or https.
        path: the file to make.
        checksum: "sha256:…", "sha384:…" or "sha512:…" that the content must have, or None.
        limit: bytes at most.

    Raises:
        SourceError: it cannot be had, is too large, or has another checksum.
        OSError: the file cannot be written.
    """
    shown = redact_url(url)
    algorithm, _, expected = (checksum or "sha256:").partition(":")
    try:
        with closing(Transport(ClientSettings())) as transport:
            endpoint = Endpoint(shown, url)
            context = ErrorContext(registry=shown, operation="downloading")
            with transport.send(endpoint, Request("GET", url, {}), context) as answer:
                if answer.status != _OK:
                    raise SourceError(f"{shown} answered with status {answer.status}", hint="check the URL")
                actual = _save(answer, path, hashlib.new(algorithm), shown, limit)
                modified = answer.header("last-modified")
    except OCIError as error:
        raise SourceError(error.message, hint=error.hint) from error
    if checksum is not None and actual != expected:
        raise SourceError(
            f"{shown} has the checksum {algorithm}:{actual}, the Dockerfile says {checksum}",
            hint="the file changed: check it, then correct --checksum",
        )
    return _nanoseconds(modified)


def _save(answer: Answer, path: str, digest: hashlib._Hash, shown: str, limit: int) -> str:
    size = 0
    with open(path, "xb") as file:
        for piece in answer.stream():
            size += len(piece)
            if size > limit:
                raise SourceError(f"{shown} is larger than {limit >> 20} MiB")
            digest.update(piece)
            file.write(piece)
        os.fchmod(file.fileno(), 0o600)
    expected = answer.content_length
    if expected is not None and expected != size:
        raise SourceError(f"{shown} ended after {size} of {expected} bytes", hint="try again")
    return digest.hexdigest()


def _nanoseconds(header: str) -> int | None:
    try:
        return int(parsedate_to_datetime(header).timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError):
        return None
