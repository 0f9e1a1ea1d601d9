"""The forms of --build-context, which are buildx's: what stands in for stages and images."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Final

from strake_builder.cli.contexts.sources import BUCKETS, OCI, is_web, read_git
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_api.models.source import LayoutImage, NamedContext

_FORMS: Final = (
    "a directory, a git URL, https://FILE, s3://BUCKET/ARCHIVE, gs://BUCKET/ARCHIVE, "
    "https://ACCOUNT.blob.core.windows.net/CONTAINER/ARCHIVE, docker-image://REFERENCE, oci://ARTIFACT, or "
    "oci-layout://DIR[:TAG|@DIGEST]"
)
_IMAGE: Final = "docker-image://"
_LAYOUT: Final = "oci-layout://"
_TARGET: Final = "target:"


def add_named_context_flag(parser: argparse.ArgumentParser) -> None:
    """Add --build-context."""
    parser.add_argument(
        "--build-context",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="files or an image in place of the stages and images of a name, for FROM, COPY --from and "
        "RUN --mount=from=: " + _FORMS,
    )


def read_named_contexts(texts: Iterable[str]) -> tuple[NamedContext, ...]:
    """Return the named contexts that flags give; the last of one name counts.

    Raises:
        InvalidRequestError: one is in none of the forms.
    """
    found: dict[str, NamedContext] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise InvalidRequestError(
                f"--build-context {text!r} is not understood", hint=f"write NAME=VALUE; VALUE is {_FORMS}"
            )
        found.pop(_one_name(name), None)
        found[_one_name(name)] = _context(name, value)
    return tuple(found.values())


def _one_name(name: str) -> str:
    from strake_builder.frontend.model.named_contexts import context_name
    from strake_oci.errors import InvalidValueError

    try:
        return context_name(name)
    except InvalidValueError as error:
        raise InvalidRequestError(
            f"--build-context {name}: the name is looked up as an image's, and {error.message}",
            hint=error.hint,
        ) from error


def _context(name: str, value: str) -> NamedContext:
    from strake_api.models.source import (
        BucketSource,
        DirectorySource,
        HTTPSource,
        NamedContext,
        OCISource,
        Source,
    )
    from strake_builder.context.buckets.azure import is_blob

    if value.startswith(_IMAGE):
        return NamedContext(name=name, image=value.removeprefix(_IMAGE))
    if value.startswith(_LAYOUT):
        return NamedContext(name=name, layout=_layout(name, value.removeprefix(_LAYOUT)))
    if value.startswith(OCI):
        return NamedContext(name=name, source=Source(oci=OCISource(reference=value.removeprefix(OCI))))
    if (git := read_git(value)) is not None:
        return NamedContext(name=name, source=Source(git=git))
    if value.startswith(BUCKETS) or is_blob(value):  # an archive, as for --context
        return NamedContext(name=name, source=Source(bucket=BucketSource(url=value)))
    if is_web(value):  # one file, as for buildx: what is an archive is unpacked by ADD
        return NamedContext(name=name, source=Source(http=HTTPSource(url=value, unpacked=False)))
    path = value.removeprefix("dir://")
    if not os.path.isdir(path):
        hint = f"write {name}= and {_FORMS}"
        if value.startswith(_TARGET):
            hint = "a target is another image of a bake file; a stage needs no context to be named"
        raise InvalidRequestError(f"--build-context {name}: {value} is no directory here", hint=hint)
    return NamedContext(name=name, source=Source(directory=DirectorySource(path=os.path.abspath(path))))


def _layout(name: str, text: str) -> LayoutImage:
    from strake_api.models.source import LayoutImage
    from strake_oci.errors import InvalidValueError
    from strake_oci.spec.digest import Digest

    named, at, digest = text.partition("@")
    path, _, tag = named.partition(":")
    if not path:
        raise InvalidRequestError(
            f"--build-context {name}: oci-layout:// has no directory", hint=f"write {name}={_LAYOUT}DIR:TAG"
        )
    try:
        known = str(Digest.parse(digest)) if at else None
    except InvalidValueError as error:
        raise InvalidRequestError(f"--build-context {name}: {error.message}", hint=error.hint) from error
    return LayoutImage(path=os.path.abspath(path), tag=tag or None, digest=known)
