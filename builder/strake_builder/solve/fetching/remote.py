"""What ADD fetches from elsewhere: each URL and each git ref is asked for once a build.

The answer serves both the step's cache key and its execution, so that the key never names another content
than the one that was added.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import replace

from strake_builder import interrupt
from strake_builder.context.download import Watch, unwatched
from strake_builder.context.downloads import Downloads
from strake_builder.context.git.fetch import (
    GitCommit,
    check_out,
    committed,
    is_commit,
    redact_url,
    resolve_object,
    resolve_ref,
)
from strake_builder.context.git.received import received
from strake_builder.context.remote_secrets import RemoteSecrets, remote_secret_hint
from strake_builder.errors import SourceError
from strake_builder.frontend.model.steps import AddStep, GitSource, Step, UrlSource
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.cancellation import Cancellation
from strake_oci.errors import RegistryError
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.lazy_dataclass import dataclass

_FULL_COMMIT = 40
"""Hex digits from which on a checksum names one commit."""
_LOCKED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A URL's content.

    Attributes:
        directory: holds the file and nothing else; it is not to be written to.
        name: of the file.
        modified: time of last modification that the server says, in nanoseconds; 0 where it says none.
        checksum: SHA-256 of the content when it came, in hex.
    """

    directory: str
    name: str
    modified: int
    checksum: str = ""

    def sha256(self) -> str:
        """Return the digest of the content, in hex."""
        with open(os.path.join(self.directory, self.name), "rb") as file:
            hasher = hashlib.sha256()
            for piece in interrupt.pieces(file):
                hasher.update(piece)
            return hasher.hexdigest()


class RemoteSources:
    """Fetches, in the background. Thread-safe.

    Args:
        workspace: where files are put.
        downloads: fetches URLs.
        pool: where this happens.
        cancellation: ends what is under way, downloads included.
        networks: what git must not reach.
        watch: hears of what git receives; `downloads` has its own.
        secrets: open servers of URLs and of git.
    """

    def __init__(
        self,
        workspace: Workspace,
        downloads: Downloads,
        pool: Executor,
        cancellation: Cancellation,
        networks: DeniedNetworks = NONE_DENIED,
        watch: Watch = unwatched,
        secrets: RemoteSecrets | None = None,
    ) -> None:
        self._watch = watch
        self._secrets = secrets or RemoteSecrets()
        self._workspace = workspace
        self._downloads = downloads
        self._pool = pool
        self._cancellation = cancellation
        self._networks = networks
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str | None], Future[RemoteFile]] = {}
        self._commits: dict[tuple[str, str], Future[str]] = {}
        self._added: dict[GitSource, str] = {}

    def prefetch(self, steps: Iterable[Step]) -> None:
        """Begin to find out what the content of remote sources is, where the Dockerfile does not say so."""
        for step in steps:
            for source in step.sources if isinstance(step, AddStep) else ():
                if isinstance(source, UrlSource) and not is_pinned(source):
                    self._file(source)
                elif isinstance(source, GitSource) and not is_pinned(source):
                    self._commit(source)

    def file(self, source: UrlSource) -> RemoteFile:
        """Return a URL's content.

        Raises:
            SourceError: it cannot be had, is too large, or has another checksum.
            OSError: the file cannot be written.
        """
        return self._file(source).result()

    def commit(self, source: GitSource) -> str:
        """Return the full hash of the commit that a git source's ref stands for.

        Raises:
            SourceError: the remote does not answer, or has no such ref.
        """
        return self._commit(source).result()

    def check_out(self, wanted: GitCommit, directory: str) -> str:
        """Fetch one commit's files into an empty directory and return its full hash.

        Raises:
            SourceError: it cannot be fetched.
        """
        with received(os.path.join(directory, ".git"), redact_url(wanted.url), self._watch):
            return check_out(self._opened(wanted), directory, self._cancellation)

    def committed(self, source: GitSource) -> int:
        """Return when the commit of a git source was committed, in seconds since 1970.

        Raises:
            SourceError: it cannot be fetched, or is not the one that it should be.
        """
        if not is_pinned(source):
            self.commit(source)  # of which ADD takes the files then
        directory = self._workspace.directory(self._workspace.new_name("dated"))
        wanted = self._opened(location_of(source))
        with received(os.path.join(directory, ".git"), redact_url(wanted.url), self._watch):
            revision, seconds = committed(wanted, directory, self._cancellation)
        shutil.rmtree(directory, ignore_errors=True)
        self.require(source, revision)
        return seconds

    def require(self, source: GitSource, revision: str) -> None:
        """Refuse another commit than the Dockerfile or this build's keys have.

        Raises:
            SourceError: it is another one.
        """
        if source.checksum and not self._is_of(source, source.checksum, revision):
            raise SourceError(
                f"{redact_url(source.remote)} has the commit {revision}, not {source.checksum}",
                hint="the ref moved: check it, then correct --checksum",
            )
        expected = self.known_commit(source)
        if expected not in {None, revision} and not is_commit(source.ref):  # a hash may be of a tag
            raise SourceError(
                f"{redact_url(source.remote)} moved from {expected} to {revision} during the build",
                hint="build again",
            )

    def cancel(self, reason: Exception) -> None:
        """End whatever is under way."""
        self._cancellation.cancel(reason)

    def known_commit(self, source: GitSource) -> str | None:
        """Return what `commit` returned for this build's keys, None if nobody asked."""
        with self._lock:
            known = self._commits.get((source.remote, source.ref))
        return known.result() if known is not None and known.exception() is None else None

    def note_commit(self, source: GitSource, revision: str) -> None:
        """Remember the full hash of the commit whose files were added for a source."""
        with self._lock:
            self._added[source] = revision

    def used_commit(self, source: GitSource) -> str | None:
        """Return the commit of a source that was added or is in a cached result, None if nobody asked."""
        if is_pinned(source):
            return source.checksum
        with self._lock:
            added = self._added.get(source)
        return added or self.known_commit(source)

    def known_checksum(self, source: UrlSource) -> str | None:
        """Return "sha256:…" of a URL's content, None if nobody asked for it."""
        with self._lock:
            known = self._files.get((source.url, source.checksum))
        if known is None or not known.done() or known.exception() is not None:
            return None
        return f"sha256:{known.result().checksum}"

    def _file(self, source: UrlSource) -> Future[RemoteFile]:
        key = (source.url, source.checksum)
        with self._lock:
            if key not in self._files:
                self._files[key] = self._pool.submit(self._fetch, source)
            return self._files[key]

    def _fetch(self, source: UrlSource) -> RemoteFile:
        directory = self._workspace.directory(self._workspace.new_name("download"))
        path = os.path.join(directory, "content")
        headers = self._secrets.headers(source.url)
        try:
            got = self._downloads.fetch(source.url, path, source.checksum, headers=headers)
        except SourceError as error:
            if headers or not _is_locked(error):
                raise
            raise SourceError(error.message, hint=remote_secret_hint(source.url)) from error.__cause__
        modified = got.modified or 0
        os.utime(path, ns=(modified, modified))
        return RemoteFile(directory, "content", modified, got.sha256)

    def _commit(self, source: GitSource) -> Future[str]:
        key = (source.remote, source.ref)
        with self._lock:
            if key not in self._commits:
                self._commits[key] = self._pool.submit(self._resolve, source)
            return self._commits[key]

    def _resolve(self, source: GitSource) -> str:
        return resolve_ref(self._opened(GitCommit(source.remote, source.ref)), self._cancellation)

    def _is_of(self, source: GitSource, checksum: str, revision: str) -> bool:
        """Say whether a checksum is of a commit, or of the annotated tag by which it was fetched."""
        if revision.startswith(checksum) or (is_commit(source.ref) and source.ref.startswith(checksum)):
            return True
        if source.fetch_by_commit or is_commit(source.ref):
            return False
        opened = self._opened(GitCommit(source.remote, source.ref))
        commit, named = resolve_object(opened, self._cancellation)
        return commit == revision and named.startswith(checksum)

    def _opened(self, wanted: GitCommit) -> GitCommit:
        return replace(wanted, networks=self._networks, credentials=self._secrets.git(wanted.url))


def _is_locked(error: SourceError) -> bool:
    cause = error.__cause__
    return isinstance(cause, RegistryError) and cause.context.status in _LOCKED


def location_of(source: GitSource) -> GitCommit:
    """Return where a git source is fetched from.

    Raises:
        SourceError: it is to be fetched by a commit that it does not name.
    """
    ref = source.ref
    if source.fetch_by_commit and not is_commit(ref):
        ref = source.checksum or ""
        if not is_commit(ref):
            raise SourceError(
                "fetch-by-commit needs the full hash of a commit",
                hint="write it as the ref, or with --checksum",
            )
    return GitCommit(source.remote, ref, source.submodules)


def is_pinned(source: UrlSource | GitSource) -> bool:
    """Say whether the Dockerfile itself names the content of a remote source."""
    if source.checksum is None:
        return False
    return isinstance(source, UrlSource) or len(source.checksum) >= _FULL_COMMIT
