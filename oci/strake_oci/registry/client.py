"""The registry client: everything the rest of Strake asks of a registry (OCI distribution-spec 1.1).

Pulls go through mirrors where they are configured; the content is checked, whichever source serves it.
Nothing holds a blob in memory. One client is meant to be shared by all threads of a program and closed at its
end.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from strake_oci.cancellation import Cancellation
from strake_oci.credentials import CredentialSource, NoCredentials
from strake_oci.errors import OCIError, RejectedError
from strake_oci.http.transport import Transport
from strake_oci.registry import manifests, referrers
from strake_oci.registry.auth.authorizer import Authorizer
from strake_oci.registry.auth.tokens import TokenCache
from strake_oci.registry.blobs.download import BlobReader
from strake_oci.registry.blobs.push import BlobPush
from strake_oci.registry.blobs.stream import BlobUpload
from strake_oci.registry.blobs.upload import MOUNT_REFUSED, Mount, UploadSession
from strake_oci.registry.mirrors import MIRROR_DEADLINE, MirrorRecord, PullSources
from strake_oci.registry.plain_fallback import PlainFallback
from strake_oci.registry.retry import Retrier, RetryPolicy
from strake_oci.registry.session import Call, Session
from strake_oci.registry.settings import ClientSettings
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import parse
from strake_oci.spec.reference import Reference, Repository
from strake_oci.verify import despite_mirrors

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from strake_oci.images import Readable

_OK, _NOT_FOUND, _METHOD_NOT_ALLOWED = 200, 404, 405


class RegistryClient:
    """Talks to registries. Thread-safe; a context manager that closes its connections.

    Args:
        settings: Insecure registries, TLS, mirrors, time limits. The default speaks TLS to everyone.
        credentials: Where to find them; by default everything is anonymous.
        retry: How hard to try.
        warn: Called once for each mirror that served something else than it was asked for, from any thread.
        cancellation: Stops the client.

    Example:
        >>> with RegistryClient(ClientSettings.insecure("localhost:5000")) as client:
        ...     found = client.resolve(Reference.parse("localhost:5000/app:1"))
    """

    def __init__(
        self,
        settings: ClientSettings | None = None,
        credentials: CredentialSource | None = None,
        retry: RetryPolicy | None = None,
        warn: Callable[[str], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._settings = settings or ClientSettings()
        self._cancellation = Cancellation(cancellation)
        self._transport = Transport(self._settings, self._cancellation)
        self._fallback = PlainFallback(self._transport)
        self._authorizer = Authorizer(credentials or NoCredentials(), TokenCache(self._transport))
        policy = retry or RetryPolicy()
        self._retrier = Retrier(policy, self._cancellation)
        self._record = MirrorRecord(warn=warn)
        self._help_slots = threading.BoundedSemaphore(1)  # each takes memory
        # A mirror that is down must not cost more than it saves: the source is waiting.
        hasty = replace(
            policy, attempts=min(policy.attempts, 2), deadline=min(policy.deadline, MIRROR_DEADLINE)
        )
        self._mirror_retrier = Retrier(hasty, self._cancellation)

    # Manifests

    def resolve(self, reference: Reference) -> Descriptor:
        """Return what a reference points to now: media type, digest and size of its manifest or index.

        Uses HEAD, which Docker Hub does not count as a pull.

        Raises:
            ManifestUnknownError: There is no such image.
            RegistryError: The registry refused or failed.
        """
        sources = self._sources(reference.repository)
        return sources.pull(lambda session: manifests.resolve(session, reference.identifier))

    def manifest(self, repository: Repository, identifier: Digest | str) -> tuple[Descriptor, bytes]:
        """Return a manifest or index by digest or tag, checked against its digest, at most 4 MiB.

        Raises:
            ManifestUnknownError: There is no such manifest.
            DigestMismatchError: The registry sent something else.
            SizeExceededError: It is too long.
            RegistryError: The registry refused or failed.
        """
        return self._sources(repository).pull(lambda session: manifests.pull(session, str(identifier)))

    def push_manifest(self, reference: Reference, data: bytes, media_type: str) -> Descriptor:
        """Push a manifest or index under the reference's tag, or by digest if it has none.

        Everything it refers to must be in the repository already. If it has a subject and the registry does
        not know the Referrers API, it is listed under the subject's fallback tag.

        Raises:
            RegistryError: The registry refused or failed.
        """
        session = self._session(reference.repository)
        descriptor, listed = manifests.push(session, reference, data, media_type)
        if listed is None and b'"subject"' in data:
            referrers.note_referrer(session, descriptor, parse(data, media_type))
        return descriptor

    def referrers(
        self, repository: Repository, digest: Digest, artifact_type: str = ""
    ) -> tuple[Descriptor, ...]:
        """Return what refers to a manifest: signatures, SBOMs and the like, of one type or of all.

        Raises:
            RegistryError: The registry refused or failed.
        """
        return referrers.referrers(self._session(repository), digest, artifact_type)

    def delete_manifest(self, repository: Repository, digest: Digest) -> None:
        """Delete a manifest; many registries do not allow it.

        Raises:
            ManifestUnknownError: There is no such manifest.
            RegistryError: The registry refused or failed.
        """
        manifests.delete(self._session(repository), digest)

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """Return all tags of a repository, as the registry orders them.

        Raises:
            NotFoundError: There is no such repository.
            RegistryError: The registry refused or failed.
        """
        return manifests.tags(self._session(repository))

    # Blobs

    def open_blob(
        self, repository: Repository, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> BlobReader:
        """Open a blob for reading, as a binary file and context manager.

        Digest and size are checked while it flows: reading to the end (`read` returning b"") proves the
        content. A broken connection is continued where it broke.

        Args:
            repository: Where it is.
            descriptor: What it is; digest and size count.
            on_bytes: Called with the number of bytes as they come in.

        Raises:
            BlobUnknownError: There is no such blob.
            RegistryError: The registry refused or failed.
            MirrorError: While reading: a mirror served something else. Opening again asks another source;
                `verify.despite_mirrors` does so.
        """
        return BlobReader(self._sources(repository), descriptor, on_bytes, self._help_slots)

    def blob_exists(self, repository: Repository, digest: Digest) -> bool:
        """Tell whether a repository has a blob. Mirrors are not asked.

        Raises:
            RegistryError: The registry refused or failed.
        """
        session = self._session(repository)
        operation = f"looking for blob {digest}"
        accept = frozenset({_OK, _NOT_FOUND})
        try:
            with session.request(Call("HEAD", f"blobs/{digest}", operation, accept)) as answer:
                answer.drain()
                return answer.status == _OK
        except RejectedError as error:
            if error.context.status != _METHOD_NOT_ALLOWED:
                raise
        # Not every proxy lets HEAD through. The content is not read: the connection is closed instead.
        with session.request(Call("GET", f"blobs/{digest}", operation, accept)) as answer:
            return answer.status == _OK

    def mount_blob(self, repository: Repository, digest: Digest, source: Repository) -> bool:
        """Make a repository have a blob that another one of the same registry has; return whether it worked.

        A registry may refuse for reasons of its own; False then means that the blob must be pushed.

        Raises:
            RegistryError: The registry failed.
        """
        if source.registry != repository.registry or source == repository:
            return False
        try:
            upload = UploadSession.start(self._session(repository), Mount(digest, source))
        except MOUNT_REFUSED:
            return False
        if upload is not None:
            upload.cancel()
        return upload is None

    def push_blob(
        self,
        repository: Repository,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
        mount_from: Repository | None = None,
    ) -> bool:
        """Push a blob unless the repository has it; return whether bytes were sent.

        Args:
            repository: Where to.
            descriptor: Digest and size of the content.
            open_source: Opens the content from its start; called again after a failure.
            on_bytes: Called with the number of bytes as they go out.
            mount_from: A repository of the same registry that may have it.

        Raises:
            SizeMismatchError: The source ends early.
            RegistryError: The registry refused or failed.
        """
        mount = None
        if mount_from is not None and mount_from.registry == repository.registry and mount_from != repository:
            mount = Mount(descriptor.digest, mount_from)
        elif self.blob_exists(repository, descriptor.digest):
            return False
        push = BlobPush(
            self._session(repository),
            descriptor,
            open_source,
            lambda: self.blob_exists(repository, descriptor.digest),
            on_bytes,
        )
        return despite_mirrors(lambda: push.run(mount))

    def check_push(self, repository: Repository) -> None:
        """Make sure that a repository takes blobs from this account: begin an upload, and give it up.

        Raises:
            UnauthorizedError, DeniedError: It does not.
            RegistryError: The registry refused for another reason, failed or cannot be reached.
        """
        upload = UploadSession.start(self._session(repository))
        if upload is not None:
            upload.cancel()

    def start_upload(
        self, repository: Repository, on_bytes: Callable[[int], None] | None = None
    ) -> BlobUpload:
        """Begin to push a blob whose digest and length are not known yet.

        `write` the bytes from one thread, then `commit(digest)`; leaving the context without it cancels.
        Nothing is sent before there are some MiB, so that starting costs nothing.
        """
        return BlobUpload(
            self._session(repository), lambda digest: self.blob_exists(repository, digest), on_bytes
        )

    def copy_blob(
        self,
        source: Repository,
        destination: Repository,
        descriptor: Descriptor,
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Make the destination have the source's blob; return whether bytes were sent.

        Mounted where both are in one registry, else streamed straight through.

        Raises:
            RegistryError: A registry refused or failed.
        """
        return self.push_blob(
            destination,
            descriptor,
            lambda: self.open_blob(source, descriptor),
            on_bytes,
            mount_from=source if source.registry == destination.registry else None,
        )

    def check_login(self, registry: str) -> None:
        """Make sure that the registry takes the credential that is known for it.

        Raises:
            UnauthorizedError: It does not.
            RegistryError: It failed or cannot be reached.
        """
        session = self._session(Repository(registry, "login"))
        url = f"{session.endpoint.base}/v2/"
        session.request(Call("GET", url, "logging in", scopes=())).drain()

    # Life

    def stop(self) -> None:
        """End whatever is under way within a second, from any thread; nothing can be done any more.

        What is under way raises StoppedError. Uploads are cancelled at registries, if that takes no time.
        """
        self._cancellation.cancel(OCIError("the registry client was stopped"))

    def close(self) -> None:
        """Stop, and close all connections. What is still under way in other threads ends without them."""
        self.stop()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _session(self, repository: Repository, retrier: Retrier | None = None) -> Session:
        endpoint = self._settings.endpoint(repository.registry)
        if self._settings.of(repository.registry).plain_fallback:
            endpoint = self._fallback.endpoint(endpoint)
        return Session(endpoint, repository, self._transport, self._authorizer, retrier or self._retrier)

    def _sources(self, repository: Repository) -> PullSources:
        *mirrors, last = self._record.worth_asking(self._settings.pull_sources(repository), repository)
        asked_first = tuple(self._session(mirror, self._mirror_retrier) for mirror in mirrors)
        return PullSources(asked_first, self._session(last), self._record)
