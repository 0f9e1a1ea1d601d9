"""Files in which a finished build says what came of it.

As with kaniko, a directory that is missing is made, and digests may go to a URL: a presigned one of a bucket.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strake_builder.cache.directories import make_directory
from strake_builder.errors import InvalidRequestError, OutputError

if TYPE_CHECKING:
    from strake_api.result import BuildSucceeded

_WEB: Final = "https://"
_TAKEN: Final = range(200, 300)
_MASK: Final = 0o077
"""Of directories that are made for a file, as kaniko makes them."""


def add_result_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `write_result_files` reads."""
    files = parser.add_argument_group("what came of it")
    files.add_argument(
        "--digest-file", metavar="FILE", help="write the image's digest to a file, or send it to https://…"
    )
    files.add_argument(
        "--image-name-with-digest-file",
        metavar="FILE",
        help="write REPOSITORY@DIGEST of each destination to a file, one a line",
    )
    files.add_argument(
        "--image-name-tag-with-digest-file", metavar="FILE", help="the same as REPOSITORY:TAG@DIGEST"
    )
    files.add_argument("--metadata-file", metavar="FILE", help="write the whole result, as JSON, to a file")


def result_files(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the files and URLs that the flags name; what they say is of an image.

    Raises:
        InvalidRequestError: one is a URL that nothing can be sent to.
    """
    flags = (
        arguments.digest_file,
        arguments.metadata_file,
        arguments.image_name_with_digest_file,
        arguments.image_name_tag_with_digest_file,
    )
    for path in filter(None, flags):
        if path.startswith("http://") or (path.startswith(_WEB) and not urlsplit(path).hostname):
            raise InvalidRequestError(
                f"cannot send a digest to {_shown(path)}",
                hint="name a file, or a URL with https:// and a host",
            )
    return tuple(path for path in flags if path)


def write_result_files(
    arguments: argparse.Namespace, destinations: tuple[str, ...], result: BuildSucceeded, mask: int
) -> None:
    """Write the files that the flags name.

    Args:
        arguments: what was parsed.
        destinations: what the image is called, as it was asked for.
        result: what came of the build.
        mask: permission bits that the files do not get.

    Raises:
        InvalidRequestError: a URL is none.
        OutputError: a file cannot be written, or a server does not take it.
    """
    result_files(arguments)
    for path, text in _texts(arguments, destinations, result):
        if path and path.startswith(_WEB):
            _send(path, text, arguments)
        elif path:
            _write(path, text, mask)


def _texts(
    arguments: argparse.Namespace, destinations: tuple[str, ...], result: BuildSucceeded
) -> Iterator[tuple[str | None, str]]:
    from strake_oci.spec.reference import Reference

    references = [Reference.parse(text).with_default_tag() for text in result.references or destinations]
    repositories = dict.fromkeys(str(reference.repository) for reference in references)
    yield arguments.digest_file, result.digest or ""
    yield arguments.metadata_file, result.to_json() + "\n"
    yield (
        arguments.image_name_with_digest_file,
        "".join(f"{repository}@{result.digest}\n" for repository in repositories),
    )
    yield (
        arguments.image_name_tag_with_digest_file,
        "".join(f"{reference}@{result.digest}\n" for reference in references),
    )


def _write(path: str, text: str, mask: int) -> None:
    """Write a small file in place: it may be a mount of its own, as a pod's termination message is."""
    try:
        if parent := os.path.dirname(path):
            make_directory(parent, 0o777 & ~(mask | _MASK))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666 & ~mask), "wb") as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _send(url: str, text: str, arguments: argparse.Namespace) -> None:
    """Send a small file to a URL that takes it by PUT."""
    from strake_builder.cli.flags.networks import read_networks
    from strake_oci.errors import ErrorContext, OCIError
    from strake_oci.http.endpoint import Endpoint, TransportSettings
    from strake_oci.http.transport import Request, Transport

    shown = _shown(url)
    networks = read_networks(arguments)
    request = Request("PUT", url, {"Content-Type": "text/plain"}, text.encode())
    context = ErrorContext(registry=shown, operation="sending the digest")
    try:
        with (
            contextlib.closing(Transport(TransportSettings(networks=networks))) as transport,
            transport.send(Endpoint(shown, url), request, context) as answer,
        ):
            status = answer.status
    except OCIError as error:
        raise OutputError(f"cannot send the digest to {shown}: {error.message}", hint=error.hint) from error
    if status not in _TAKEN:
        raise OutputError(
            f"{shown} did not take the digest: status {status}", hint="check the URL and its signature"
        )


def _shown(url: str) -> str:
    """Return a URL without what opens it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
