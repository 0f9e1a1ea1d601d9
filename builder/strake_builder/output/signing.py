"""Signing what is pushed: with a key that this process may use, or by a process that may."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol

from strake_builder.errors import PushUnauthorizedError, SigningError
from strake_oci.errors import CredentialError, DeniedError, OCIError, SigningKeyError, UnauthorizedError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.signatures import BOTH, SignatureForm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.attesting import AttestationSigner
    from strake_oci.signatures.keyless.identity import KeylessIdentity
    from strake_oci.signatures.keyless.writing import KeylessAttestationSigner, KeylessImageSigner
    from strake_oci.signatures.keys import PrivateKey
    from strake_oci.signatures.writing import ImageSigner
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

    Key = PrivateKey | KeylessIdentity
    Signers = tuple[ImageSigner, AttestationSigner] | tuple[KeylessImageSigner, KeylessAttestationSigner]


@dataclass(frozen=True, slots=True)
class Signing:
    """That a build's image is signed.

    Attributes:
        forms: in which forms; an identity signs in one alone.
        key: signs, or who does without one; None where the gateway has it.
    """

    forms: tuple[SignatureForm, ...] = BOTH
    key: Key | None = field(default=None, repr=False)


def signers(client: RegistryClient, key: Key, forms: tuple[SignatureForm, ...]) -> Signers:
    """Return what signs images, and what signs attestations.

    Args:
        client: reads and writes the repositories.
        key: signs, or who does without one.
        forms: in which forms a key signs.
    """
    from strake_oci.signatures.keyless.identity import KeylessIdentity

    if isinstance(key, KeylessIdentity):
        from strake_oci.signatures.keyless.writing import KeylessAttestationSigner, KeylessImageSigner

        return KeylessImageSigner(client, key), KeylessAttestationSigner(client, key)
    from strake_oci.signatures.attesting import AttestationSigner
    from strake_oci.signatures.writing import ImageSigner

    return ImageSigner(client, key, forms), AttestationSigner(client, key, forms)


UNKNOWN_IMAGE: Final = "UNKNOWN_IMAGE"
"""The code by which a gateway says that an image is to be pushed again before anything refers to it."""


class ForgottenImageError(Exception):
    """A signer does not know that the image was pushed: push it again."""


class Signer(Protocol):
    """Signs images that are in a repository and have no tag there yet."""

    def check(self, repository: Repository) -> None:
        """Make sure that there is a key that can be used.

        Raises:
            SigningError: there is none.
        """
        ...

    def sign(self, repository: Repository, image: Descriptor) -> None:
        """Sign an image.

        Raises:
            ForgottenImageError: push it again, then ask again.
            SigningError, PushUnauthorizedError: it cannot be signed.
        """
        ...

    def attest(self, repository: Repository, attestation: Digest, index: Digest | None = None) -> None:
        """Sign an attestation of an image, which both are in a repository.

        Args:
            repository: Where they are.
            attestation: Of its manifest.
            index: What is to be attested in place of the image: an index there that lists it.

        Raises:
            ForgottenImageError: push both again, then ask again.
            SigningError, PushUnauthorizedError: it cannot be signed.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class LocalSigner:
    """Signs with a key that this process may use. Thread-safe; a `Signer`.

    Args:
        client: reads and writes the repositories; closed with this.
        key: signs, or who does without one.
        forms: in which forms a key signs.
    """

    def __init__(self, client: RegistryClient, key: Key, forms: tuple[SignatureForm, ...]) -> None:
        self._client = client
        self._key = key
        self._signer: ImageSigner | KeylessImageSigner
        self._attesting: AttestationSigner | KeylessAttestationSigner
        self._signer, self._attesting = signers(client, key, forms)

    def check(self, repository: Repository) -> None:
        """Make sure that the key can be used."""
        with _explained(repository):
            self._key.check()

    def sign(self, repository: Repository, image: Descriptor) -> None:
        """Sign an image."""
        with _explained(repository):
            self._signer.sign(repository, image)

    def attest(self, repository: Repository, attestation: Digest, index: Digest | None = None) -> None:
        """Sign an attestation."""
        with _explained(repository):
            self._attesting.sign(repository, attestation, index)

    def close(self) -> None:
        """Close the client."""
        self._client.close()


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    try:
        yield
    except (UnauthorizedError, DeniedError, CredentialError) as error:
        raise PushUnauthorizedError(
            f"cannot sign in {repository}: {error.message}", hint=error.hint
        ) from error
    except SigningKeyError as error:
        raise SigningError(f"the key cannot sign: {error.message}", hint=error.hint) from error
    except OCIError as error:
        raise SigningError(f"cannot sign in {repository}: {error.message}", hint=error.hint) from error
