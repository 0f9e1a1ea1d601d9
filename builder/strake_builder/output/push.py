"""Pushes an image to its destinations: blobs as they are ready, each once a registry, the tag last.

A destination's tag appears only when everything that it needs is there, attestations and signatures included.
Blobs go to the first repository of a registry; the other repositories of the same registry mount them from
it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Final

from strake_builder.errors import OutputError, PushUnauthorizedError, SigningError
from strake_builder.output.attached import Attached
from strake_builder.output.blob_stream import BlobStream
from strake_builder.output.immutable_tags import is_immutable
from strake_builder.output.signing import UNKNOWN_IMAGE, ForgottenImageError, Signer
from strake_builder.progress.reporter import Reporter
from strake_builder.progress.transfer import Transfer
from strake_oci.errors import (
    CredentialError,
    DeniedError,
    NotFoundError,
    OCIError,
    RegistryError,
    RejectedError,
    UnauthorizedError,
)
from strake_oci.images import Readable
from strake_oci.registry.client import RegistryClient
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Reference, Repository

_STREAMS: Final = 2
"""Registries that a blob goes to while it is being made; each costs some 30 MiB of memory."""
_TRIES: Final = 3
"""How often an image is pushed for a gateway that was started again and knows none."""
_REFUSALS: Final = (RejectedError, NotFoundError, DeniedError)
"""What registries answer that take no artifacts, or no tag for the list of what refers to an image."""

Open = Callable[[], AbstractContextManager[Readable]]


class Pusher:
    """Pushes to all destinations of a build. Thread-safe.

    Args:
        client: talks to the destinations.
        pulling: talks to the registries of base images, which may ask for other credentials.
        destinations: where the image goes; each has a tag.
        reporter: hears of every blob.
        signer: signs the image before it gets a tag; None where it is not signed.
        immutable_tags_stay: a tag that its registry does not let move is warned of, and no failure.
        tags: whether images get their tags; else they are pushed by digest, for an index of them.

    Attributes:
        sent: bytes that went over the network so far.
    """

    def __init__(
        self,
        client: RegistryClient,
        pulling: RegistryClient,
        destinations: tuple[Reference, ...],
        reporter: Reporter,
        signer: Signer | None = None,
        *,
        immutable_tags_stay: bool = False,
        tags: bool = True,
    ) -> None:
        self._tags = destinations if tags else ()
        self._immutable_tags_stay = immutable_tags_stay
        self._signer = signer
        self._client = client
        self._pulling = pulling
        self._reporter = reporter
        self.sent = 0
        self._lock = threading.Lock()
        self._streaming = threading.Lock()
        self._there: set[Digest] = set()
        firsts: dict[str, Repository] = {}
        self._plan: list[tuple[Repository, Repository | None]] = []
        for repository in dict.fromkeys(d.repository for d in destinations):
            self._plan.append((repository, firsts.get(repository.registry)))
            firsts.setdefault(repository.registry, repository)

    def check_rights(self, pool: Executor) -> list[Future[None]]:
        """Begin to ask every destination whether it would take the image; the futures raise if it would not.

        A missing right is better reported before the build than after it.
        """
        return [pool.submit(self._check_rights, repository) for repository, _ in self._plan]

    def _check_rights(self, repository: Repository) -> None:
        with _explained(repository):
            self._client.check_push(repository)

    @contextmanager
    def stream(self) -> Iterator[BlobStream]:
        """Begin to send a blob that is still being made to each registry.

        What is on its way is also in memory until the registry has it. So there is one such blob at a time,
        for few registries; the others get theirs when it is made.
        """
        repositories: list[Repository] = []
        is_free = self._streaming.acquire(blocking=False)
        if is_free:
            repositories = [repository for repository, first in self._plan if first is None]
        uploads = {
            each: self._client.start_upload(each, self._progress(each)) for each in repositories[:_STREAMS]
        }
        try:
            with BlobStream(uploads) as stream:
                yield stream
        finally:
            if is_free:
                self._streaming.release()

    def push_blob(
        self, descriptor: Descriptor, open_source: Open, sent: frozenset[Repository] = frozenset()
    ) -> None:
        """Make every destination have a blob that is at hand.

        Args:
            descriptor: of the blob.
            open_source: opens it.
            sent: the repositories that a `stream` has just brought it to.

        Raises:
            OutputError: a registry refused or failed.
        """
        for repository in sent:
            self._report(repository, descriptor, sent=True)
        self._bring(descriptor, open_source, None, sent)

    def copy_blob(self, source: Repository, descriptor: Descriptor) -> None:
        """Make every destination have a blob of another repository: mounted, or streamed through.

        Raises:
            OutputError: a registry refused or failed.
        """
        self._bring(descriptor, lambda: self._pulling.open_blob(source, descriptor), source)

    def _bring(
        self,
        descriptor: Descriptor,
        open_source: Open,
        source: Repository | None,
        there: frozenset[Repository] = frozenset(),
    ) -> None:
        if descriptor.digest in self._there:
            return
        for repository, first in self._plan:
            if repository in there:
                continue
            with _explained(repository):
                progress = self._progress(repository, descriptor)
                sent = self._client.push_blob(
                    repository, descriptor, open_source, progress, mount_from=first or source
                )
            self._report(repository, descriptor, sent=sent)
        with self._lock:
            self._there.add(descriptor.digest)

    def push_by_digest(self, image: Descriptor, manifest: bytes) -> None:
        """Push the manifest to every repository, without a tag; every blob must be there.

        Raises:
            OutputError: a registry refused or failed.
        """
        for repository, _ in self._plan:
            self._push_by_digest(repository, image, manifest)

    def push_manifest(
        self,
        manifest: bytes,
        media_type: str,
        attestation: Attached | None = None,
        attested: Sequence[Digest] = (),
    ) -> bool:
        """Push the manifest, which makes the image appear; every blob must be there.

        Args:
            manifest: of the image.
            media_type: of the manifest.
            attestation: pushed before a tag moves, with its blobs there.
            attested: attestations of images that an index lists: what they say is signed as said of it, too.

        Returns:
            Whether every destination took the attestation.

        Raises:
            OutputError: a registry refused or failed.
        """
        image = Descriptor.of(media_type, manifest)
        named, content = image, manifest
        if self._tags and attestation is not None and attestation.index is not None:
            named, content = Descriptor.of(mediatype.OCI_INDEX, attestation.index), attestation.index
        taken = True
        for repository, _ in self._plan:
            if attestation is None and not self._tags:
                self._push_by_digest(repository, image, manifest)
            is_attested = attestation is not None and self._attach(repository, image, manifest, attestation)
            taken &= attestation is None or is_attested
            if self._signer is not None:
                is_there = attestation is not None or not self._tags
                self._sign(self._signer, repository, image, manifest, is_there=is_there)
                if named != image:
                    self._sign(self._signer, repository, named, content)
                again = partial(self._push_again, repository, image, manifest, attestation)
                if attestation is not None and is_attested:
                    own = attestation.descriptor.digest
                    for index in (None,) if named == image else (None, named.digest):
                        self._sign_attestation(self._signer, repository, again, own, index)
                for each in attested:
                    self._sign_attestation(self._signer, repository, again, each, image.digest)
        for destination in self._tags:
            self._tag(destination, named, content)
        return taken

    def _attach(
        self, repository: Repository, image: Descriptor, manifest: bytes, attestation: Attached
    ) -> bool:
        """Push an image by digest, and what refers to it; say whether the registry took that.

        A gateway that was started anew meanwhile does not know the image: it is pushed again.
        """
        taken = attestation.descriptor
        for attempt in range(_TRIES):
            with _explained(repository):
                self._client.push_manifest(repository.at(image.digest), manifest, image.media_type)
                try:
                    self._client.push_manifest(
                        repository.at(taken.digest), attestation.manifest, taken.media_type
                    )
                except _REFUSALS as error:
                    if UNKNOWN_IMAGE in error.context.codes and attempt < _TRIES - 1:
                        continue
                    if attestation.required:
                        raise
                    self._reporter.warn(f"{repository} takes no attestations: {error.message}")
                    return False
                break
        self._reporter.pushed(str(repository), str(taken.digest), taken.size, transferred=True)
        return True

    def _tag(self, destination: Reference, image: Descriptor, manifest: bytes) -> None:
        with _explained(destination.repository):
            try:
                self._client.push_manifest(destination, manifest, image.media_type)
            except RegistryError as error:
                if not self._immutable_tags_stay or not is_immutable(error.message):
                    raise
                self._reporter.warn(f"{destination} stays as it is: the registry does not let the tag move")
                return
        self._reporter.pushed(str(destination), str(image.digest), len(manifest), transferred=True)

    def _push_by_digest(self, repository: Repository, image: Descriptor, manifest: bytes) -> None:
        with _explained(repository):
            self._client.push_manifest(repository.at(image.digest), manifest, image.media_type)

    def _sign(
        self,
        signer: Signer,
        repository: Repository,
        image: Descriptor,
        manifest: bytes,
        *,
        is_there: bool = False,
    ) -> None:
        """Push an image by digest and have it signed; again where the signer was started anew meanwhile."""
        for attempt in range(_TRIES):
            if attempt or not is_there:
                self._push_by_digest(repository, image, manifest)
            with suppress(ForgottenImageError):
                signer.sign(repository, image)
                self._reporter.signed(str(repository), str(image.digest))
                return
        raise _forgotten(repository)

    def _sign_attestation(
        self,
        signer: Signer,
        repository: Repository,
        push_again: Callable[[], bool],
        attestation: Digest,
        index: Digest | None,
    ) -> None:
        """Have an attestation signed that is there: as said of its image, or of an index that lists that."""
        for attempt in range(_TRIES):
            if attempt and not push_again():
                return
            with suppress(ForgottenImageError):
                signer.attest(repository, attestation, index)
                if index is None:
                    self._reporter.signed(str(repository), str(attestation))
                return
        raise _forgotten(repository)

    def _push_again(
        self, repository: Repository, image: Descriptor, manifest: bytes, attestation: Attached | None
    ) -> bool:
        """Push what a gateway that was started anew has forgotten; say whether the registry took all."""
        if attestation is not None and (index := attestation.index) is not None:
            self._push_by_digest(repository, Descriptor.of(mediatype.OCI_INDEX, index), index)
        self._push_by_digest(repository, image, manifest)
        return attestation is None or self._attach(repository, image, manifest, attestation)

    def _progress(self, repository: Repository, descriptor: Descriptor | None = None) -> Transfer:
        digest, total = (str(descriptor.digest), descriptor.size) if descriptor else (None, None)
        return Transfer(lambda done: self._reporter.pushing(str(repository), digest, done, total))

    def _report(self, repository: Repository, descriptor: Descriptor, *, sent: bool) -> None:
        if sent:
            with self._lock:
                self.sent += descriptor.size
        self._reporter.pushed(str(repository), str(descriptor.digest), descriptor.size, transferred=sent)


def _forgotten(repository: Repository) -> SigningError:
    return SigningError(
        f"cannot sign in {repository}: the gateway forgets the image, however often it is pushed",
        hint="its container's log tells why: kubectl logs POD -c gateway",
    )


class _explained:  # noqa: N801 - reads as the statement it is
    """Turns the library's errors into the builder's, with the destination in front."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (UnauthorizedError, DeniedError, CredentialError)):
            raise PushUnauthorizedError(
                f"cannot push to {self._repository}: {error.message}", hint=error.hint
            ) from error
        if isinstance(error, OCIError):
            raise OutputError(
                f"cannot push to {self._repository}: {error.message}", hint=error.hint
            ) from error
