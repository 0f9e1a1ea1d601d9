"""Downloads an object of a bucket: for a build, or ahead of one that has no Secret for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strake_api.models.source import BucketSource
from strake_builder.context.buckets.which import request_for
from strake_builder.context.download import Watch, unwatched
from strake_builder.context.downloads import Downloads
from strake_builder.errors import SourceError
from strake_oci.cancellation import Cancellation
from strake_oci.errors import RegistryError
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks

_ARCHIVE: Final = "archive"
_DIGEST: Final = "digest"
_REFUSED: Final = frozenset({400, 401, 403, 404, 409})
"""An object store may answer any of them for what is not there and for what may not be read."""


def download_object(
    source: BucketSource,
    path: str | None,
    secret: Mapping[str, str] | None = None,
    cancellation: Cancellation | None = None,
    networks: DeniedNetworks = NONE_DENIED,
    watch: Watch = unwatched,
) -> str:
    """Have an object in a new file, if there is to be one; return its digest, "sha256:hex".

    Args:
        source: which object.
        path: the file to make; None keeps nothing of what is read.
        secret: keys of a Secret that are used in place of any other identity.
        cancellation: ends it.
        networks: what must not be reached.
        watch: hears of bytes as they come, under the URL of the source.

    Raises:
        SourceError: it cannot be had, or has another checksum.
    """

    def named(_endpoint: str, done: int, total: int | None) -> None:
        watch(source.url, done, total)

    downloads = Downloads(cancellation=cancellation, networks=networks, watch=named)
    asked = request_for(source, os.environ, secret)
    try:
        got = downloads.fetch(asked.url, path, source.checksum, headers=asked.headers)
    except OSError as error:
        raise SourceError(f"cannot keep {source.url}: {error.strerror}") from error
    except SourceError as error:
        hint = error.hint
        if isinstance(cause := error.__cause__, RegistryError) and cause.context.status in _REFUSED:
            hint = f"check the name, and that the identity may read it ({asked.right})"
            hint += f"; {asked.missing}" if asked.missing else ""
        raise SourceError(f"cannot fetch {source.url}: {error.message}", hint=hint) from error
    return f"sha256:{got.sha256}"


def prefetch_object(
    source: BucketSource,
    directory: str,
    secret: Mapping[str, str] | None,
    cancellation: Cancellation | None = None,
    networks: DeniedNetworks = NONE_DENIED,
    watch: Watch = unwatched,
) -> str:
    """Download an object for a builder that has no credentials, and return its digest, "sha256:hex".

    It stays packed: the builder unpacks it, with its limits.

    Args:
        source: which object.
        directory: the archive and the digest are put into it.
        secret: keys of a Secret.
        cancellation: ends it.
        networks: what must not be reached.
        watch: hears of bytes as they come.

    Raises:
        SourceError: it cannot be had, or has another checksum.
    """
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        path = os.path.join(directory, _ARCHIVE)
        digest = download_object(source, path, secret, cancellation, networks, watch)
        Path(directory, _DIGEST).write_text(digest)
    except OSError as error:
        raise SourceError(f"cannot write the source to {directory}: {error.strerror}") from error
    return digest


def prefetched_object(directory: str) -> tuple[str, str]:
    """Return path and digest of what `prefetch_object` put into a directory.

    Raises:
        SourceError: it is not there.
    """
    try:
        digest = Path(directory, _DIGEST).read_text()
    except OSError as error:
        raise SourceError(
            f"the source is not in {directory}: {error.strerror}", hint="`strake fetch` puts it there"
        ) from error
    return os.path.join(directory, _ARCHIVE), digest
