"""Signs images for the executor, which has no key: those pushed through this gateway, and no others.

A step in a chroot may ask, too. It gets signed what it can push to the build's destinations, which is what
the build's image could be anyway; nothing that others pushed, and nothing elsewhere. What other pods of the
run attested of the images of an index is signed as said of the index: the request names those attestations.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from strake_builder.gateway.errors import ForbiddenError, SigningKeyUnusableError, UnknownImageError
from strake_builder.gateway.policy import Asked, Kind, Policy
from strake_oci.errors import SigningKeyError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

if TYPE_CHECKING:
    from strake_builder.output.signing import Key
    from strake_oci.signatures.attesting import AttestationSigner
    from strake_oci.signatures.keyless.writing import KeylessAttestationSigner, KeylessImageSigner
    from strake_oci.signatures.writing import ImageSigner

_REMEMBERED: Final = 1024
"""Manifests, the latest; the executor asks right after it pushed."""
_TAKEN: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})


class GatewaySigning:
    """What one build may have signed. Thread-safe.

    Args:
        policy: what the build may do.
        signer: signs; None where the build does not ask for it.
        problem: why the key cannot be used, "" where it can.
        attesting: signs attestations; None likewise.
        key: that of both signers, or who signs without; tried when the executor asks whether there is one.
        named: attestations that the request names, of images that other pods pushed.
    """

    def __init__(
        self,
        policy: Policy,
        signer: ImageSigner | KeylessImageSigner | None = None,
        problem: str = "",
        *,
        attesting: AttestationSigner | KeylessAttestationSigner | None = None,
        key: Key | None = None,
        named: frozenset[Digest] = frozenset(),
    ) -> None:
        self._policy = policy
        self._signer = signer
        self._problem = problem
        self._attesting = attesting
        self._key = key
        self._named = named
        self._pushed: dict[tuple[Repository, Digest], Descriptor] = {}
        self._lock = threading.Lock()

    def note(self, asked: Asked, content: bytes, media_type: str, status: int) -> None:
        """Remember a manifest that a registry took into one of the build's destinations."""
        is_pushed = asked.kind is Kind.MANIFEST and not asked.is_read and status in _TAKEN
        if not is_pushed or asked.repository not in self._policy.tags:
            return
        descriptor = Descriptor.of(mediatype.essence(media_type), content)
        with self._lock:
            self._pushed.pop((asked.repository, descriptor.digest), None)
            self._pushed[asked.repository, descriptor.digest] = descriptor
            if len(self._pushed) > _REMEMBERED:
                del self._pushed[next(iter(self._pushed))]

    def pushed(self, repository: Repository, digest: Digest) -> Descriptor | None:
        """Return a manifest that was pushed; None for one that is not remembered."""
        with self._lock:
            return self._pushed.get((repository, digest))

    def answer(self, asked: Asked) -> None:
        """Sign what is asked for; without a name only tell whether that can be done.

        Raises:
            ForbiddenError: the build signs nothing.
            SigningKeyUnusableError: the key cannot be used.
            UnknownImageError: the image was not pushed through this gateway.
            OCIError: the registry refused or failed.
        """
        if self._problem:
            raise SigningKeyUnusableError(self._problem)
        if self._signer is None:
            raise ForbiddenError("this build signs nothing")
        if not asked.name:
            self._check()
            return
        if asked.kind is Kind.SIGNATURES:
            self._signer.sign(asked.repository, self._known(asked.repository, Digest.parse(asked.name)))
        elif self._attesting is None:
            raise ForbiddenError("this build signs no attestations")
        else:
            self._attest(self._attesting, asked.repository, Digest.parse(asked.name), asked.index)

    def _check(self) -> None:
        """Try the key: of one in a KMS, and of an identity, nothing is known before."""
        if self._key is None:
            return
        try:
            self._key.check()
        except SigningKeyError as error:
            words = f"the key cannot sign: {error.message}; {error.hint}".rstrip("; ")
            raise SigningKeyUnusableError(words) from error

    def _attest(
        self,
        signer: AttestationSigner | KeylessAttestationSigner,
        repository: Repository,
        attestation: Digest,
        index: Digest | None,
    ) -> None:
        """Sign an attestation of an image, or of the index in its place; all went through this gateway."""
        if index is not None:
            self._known(repository, index)
        if index is None or attestation not in self._named:
            self._known(repository, attestation)
            self._known(repository, signer.subject(repository, attestation).digest)
        signer.sign(repository, attestation, index)

    def _known(self, repository: Repository, digest: Digest) -> Descriptor:
        descriptor = self.pushed(repository, digest)
        if descriptor is None:
            raise UnknownImageError(f"this build did not push {repository}@{digest}")
        return descriptor
