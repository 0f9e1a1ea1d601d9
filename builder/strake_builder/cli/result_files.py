"""Files in which a finished build says what came of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from strake_builder.errors import OutputError

if TYPE_CHECKING:
    from strake_api.result import BuildSucceeded


def add_result_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `write_result_files` reads."""
    files = parser.add_argument_group("what came of it")
    files.add_argument("--digest-file", metavar="FILE", help="write the image's digest to a file")
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
    """Return the files that the flags name; what they say is of an image."""
    flags = (
        arguments.digest_file,
        arguments.metadata_file,
        arguments.image_name_with_digest_file,
        arguments.image_name_tag_with_digest_file,
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
        OutputError: a file cannot be written.
    """
    for path, text in _texts(arguments, destinations, result):
        if path:
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
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666 & ~mask), "wb") as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
