"""Brings a build context to a local directory: one that is there, an archive, inline files, git, or HTTP."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Final, assert_never

from strake_api.models.source import (
    ArchiveSource,
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    InlineSource,
    OCISource,
    Source,
)
from strake_builder import interrupt
from strake_builder.context.buckets.download import download_object, prefetched_object
from strake_builder.context.directory import local_directory
from strake_builder.context.download import Watch, unwatched
from strake_builder.context.downloads import Downloads
from strake_builder.context.git.credentials import GitAccess
from strake_builder.context.git.fetch import GitCommit, check_out, redact_url, resolve_ref
from strake_builder.context.git.received import received
from strake_builder.errors import SourceError
from strake_oci.cancellation import Cancellation
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest

FILE: Final = "context"
"""What BuildKit calls a file that is a named context."""
_GIT_OWN: Final = ("**/.git",)
_TREE: Final = "tree"
_REVISION: Final = "revision"
_LOOK: Final = 250
"""Milliseconds between two looks whether the build was stopped, while an archive does not come."""


@dataclass(frozen=True, slots=True)
class FetchedContext:
    """A context on disk.

    Attributes:
        directory: its root; never written to.
        revision: the full commit hash, for a source that has one.
        patterns: ignore patterns of what is in the directory and no part of the context.
        digest: "algorithm:hex" of the archive, the file or the artifact that it was fetched as; None for
            other sources.
        modified: when it was changed, in seconds since 1970, as the server of a download says; None where it
            does not.
    """

    directory: str
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    digest: str | None = None
    modified: int | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What fetching needs besides a source.

    Attributes:
        unpack: unpacks an archive into a directory.
        credentials: for git servers, by the URL of the repository.
        cancellation: ends a fetch.
        networks: what must not be reached.
        pull: puts the files of an artifact into a directory, and returns the digest of its manifest.
        watch: hears of bytes of archives, files, objects and repositories as they come.
    """

    unpack: Callable[[Readable, str], None]
    credentials: Mapping[str, GitAccess] = field(default_factory=dict)
    cancellation: Cancellation | None = None
    networks: DeniedNetworks = NONE_DENIED
    pull: Callable[[OCISource, str], Digest] | None = None
    watch: Watch = unwatched


def fetch_context(source: Source, scratch: str, means: Means) -> FetchedContext:
    """Bring a context to a directory.

    Args:
        source: where it is.
        scratch: an existing empty directory to put it into where it is not local.
        means: what fetching needs.

    Raises:
        SourceError: it cannot be fetched, with git's message.
    """
    chosen = source.chosen
    match chosen:
        case DirectorySource():
            return FetchedContext(local_directory(chosen, scratch))
        case ArchiveSource():
            return _unpacked(chosen, scratch, means)
        case HTTPSource():
            downloads = Downloads(cancellation=means.cancellation, networks=means.networks, watch=means.watch)
            return (_fetch_archive if chosen.unpacked else _fetch_file)(chosen, scratch, means, downloads)
        case BucketSource():
            return _fetch_object(chosen, scratch, means)
        case OCISource():
            assert means.pull is not None, "builds pull"  # noqa: S101 - narrows the type
            digest = means.pull(chosen, scratch)
            return _inside_archive(scratch, chosen.path, chosen.reference, str(digest))
        case InlineSource():
            _write_inline(chosen, scratch)
            return FetchedContext(scratch)
        case GitSource():
            if chosen.fetched is not None:
                return _prefetched(chosen, chosen.fetched)
            wanted = _wanted(chosen, means.credentials.get(chosen.url), means.networks)
            with received(os.path.join(scratch, ".git"), redact_url(chosen.url), means.watch):
                revision = check_out(wanted, scratch, means.cancellation)
            return _context_in(chosen, scratch, revision)
        case _:
            assert_never(chosen)


def _unpacked(source: ArchiveSource, scratch: str, means: Means) -> FetchedContext:
    try:
        with FileIO(source.path, opener=_at_once) as archive:
            means.unpack(_Awaited(archive), scratch)
    except OSError as error:
        raise SourceError(f"cannot unpack the context {source.path}: {error.strerror}") from error
    return _inside_archive(scratch, source.subdirectory, source.path)


def _fetch_file(source: HTTPSource, directory: str, _: Means, downloads: Downloads) -> FetchedContext:
    path = os.path.join(directory, FILE)
    try:
        got = downloads.fetch(source.url, path, source.checksum)
        modified = got.modified or 0
        os.utime(path, ns=(modified, modified))
    except OSError as error:
        raise SourceError(f"cannot keep {redact_url(source.url)}: {error.strerror}") from error
    return FetchedContext(directory, digest=f"sha256:{got.sha256}", modified=_seconds(got.modified))


def _fetch_archive(
    source: HTTPSource,
    directory: str,
    means: Means,
    downloads: Downloads,
) -> FetchedContext:
    packed, shown = f"{directory}.archive", redact_url(source.url)
    try:
        got = downloads.fetch(source.url, packed, source.checksum)
        with FileIO(packed) as archive:
            means.unpack(archive, directory)
    except OSError as error:
        raise SourceError(f"cannot unpack {shown}: {error.strerror}") from error
    finally:
        Path(packed).unlink(missing_ok=True)
    found = _inside_archive(directory, source.path, shown, f"sha256:{got.sha256}")
    return replace(found, modified=_seconds(got.modified))


def _seconds(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else nanoseconds // 1_000_000_000


def _fetch_object(source: BucketSource, directory: str, means: Means) -> FetchedContext:
    packed = f"{directory}.archive"
    try:
        if source.fetched is not None:
            packed, digest = prefetched_object(source.fetched)
        else:
            digest = download_object(source, packed, None, means.cancellation, means.networks, means.watch)
        with FileIO(packed) as archive:
            means.unpack(archive, directory)
    except SourceError as error:
        if source.url in error.message:
            raise
        raise SourceError(f"cannot fetch {source.url}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise SourceError(f"cannot unpack {source.url}: {error.strerror}") from error
    finally:
        if source.fetched is None:
            Path(packed).unlink(missing_ok=True)
    return _inside_archive(directory, source.path, source.url, digest)


def _inside_archive(tree: str, path: str, shown: str, digest: str | None = None) -> FetchedContext:
    """Return the context in an archive that is unpacked."""
    inside = _directory_in(tree, path)
    if inside is None:
        raise SourceError(f"{shown} has no directory {path!r}", hint="check the path in the archive")
    return FetchedContext(inside, digest=digest)


def _directory_in(tree: str, path: str) -> str | None:
    """Return a directory of a tree that others made; None where it is none, or leads out of the tree."""
    inside, top = os.path.realpath(os.path.join(tree, path)), os.path.realpath(tree)
    return inside if os.path.isdir(inside) and (inside == top or inside.startswith(top + os.sep)) else None


def _at_once(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to yet is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


class _Awaited:
    """An archive that may come from a program, which may be silent for as long as it likes."""

    def __init__(self, archive: FileIO) -> None:
        self._archive = archive
        self._ready = select.poll()
        self._ready.register(archive, select.POLLIN)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and empty only at the end."""
        while True:
            interrupt.check()
            if self._ready.poll(_LOOK) and (data := self._archive.read(size)) is not None:
                return data


def _write_inline(source: InlineSource, directory: str) -> None:
    for name, content in source.files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise SourceError(f"the inline file {name!r} is not a path inside the context")
        file = Path(directory, *path.parts)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o644)
        except OSError as error:
            raise SourceError(f"cannot write the inline file {name!r}: {error.strerror}") from error


def prefetch_git(
    source: GitSource,
    directory: str,
    credentials: GitAccess | None,
    cancellation: Cancellation,
    networks: DeniedNetworks = NONE_DENIED,
    watch: Watch = unwatched,
) -> str:
    """Check a commit out for a builder that has no credentials, and return its full hash.

    Args:
        source: what to fetch.
        directory: the tree and the hash are put into it.
        credentials: for the URL's server.
        cancellation: ends it.
        networks: what must not be reached.
        watch: hears of bytes as they come.

    Raises:
        SourceError: it cannot be fetched, with git's message.
    """
    tree = os.path.join(directory, _TREE)
    try:
        os.makedirs(tree, 0o755)
        with received(os.path.join(tree, ".git"), redact_url(source.url), watch):
            revision = check_out(_wanted(source, credentials, networks), tree, cancellation)
        _context_in(source, tree, revision)
        Path(directory, _REVISION).write_text(revision)
    except OSError as error:
        raise SourceError(f"cannot write the source to {directory}: {error.strerror}") from error
    return revision


def _wanted(source: GitSource, credentials: GitAccess | None, networks: DeniedNetworks) -> GitCommit:
    return GitCommit(
        source.url,
        (source.commit if source.resolved else None) or source.ref,
        submodules=source.submodules,
        depth=source.depth,
        credentials=credentials,
        own_identity=True,
        networks=networks,
        unverified=source.unverified,
    )


def resolve_git(
    source: GitSource,
    credentials: GitAccess | None,
    cancellation: Cancellation,
    networks: DeniedNetworks = NONE_DENIED,
) -> str:
    """Return the full hash of the commit that a source is now, without fetching it.

    Args:
        source: which; of one that `strake fetch` has put somewhere, what is there.
        credentials: for the URL's server.
        cancellation: ends it.
        networks: what must not be reached.

    Raises:
        SourceError: the server does not answer, or the ref is none, or another commit than is asked for.
    """
    if source.fetched is not None:
        revision = _prefetched(source, source.fetched).revision or ""
    else:
        revision = resolve_ref(_wanted(source, credentials, networks), cancellation)
    _check_commit(source, revision)
    return revision


def _prefetched(source: GitSource, directory: str) -> FetchedContext:
    try:
        revision = Path(directory, _REVISION).read_text()
    except OSError as error:
        raise SourceError(
            f"the source is not in {directory}: {error.strerror}", hint="`strake fetch` puts it there"
        ) from error
    return _context_in(source, os.path.realpath(os.path.join(directory, _TREE)), revision)


def _context_in(source: GitSource, directory: str, revision: str) -> FetchedContext:
    """Return the context in a tree that is checked out."""
    inside = os.path.realpath(os.path.join(directory, source.path))
    if inside != directory and not inside.startswith(directory + os.sep):
        raise SourceError(f"the path {source.path!r} leads out of the repository")
    if not os.path.isdir(inside):
        raise SourceError(
            f"{redact_url(source.url)} at {source.ref} has no directory {source.path!r}",
            hint="check the path in the repository",
        )
    _check_commit(source, revision)
    return FetchedContext(inside, revision, () if source.keep_git_dir else _GIT_OWN)


def _check_commit(source: GitSource, revision: str) -> None:
    if source.commit is not None and not revision.startswith(source.commit):
        raise SourceError(
            f"{redact_url(source.url)} at {source.ref} is the commit {revision}, not {source.commit}",
            hint="the ref moved: check it, then correct the commit",
        )
