"""Puts signatures of an identity beside an image: Sigstore bundles that refer to it, as cosign 3 writes them.

The form `legacy` has the proofs that a certificate needs in annotations of cosign's own; what reads
signatures by identity reads bundles. Each signature is a new one, as with `cosign sign`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.signatures import SignatureForm, bundle
from strake_oci.signatures.attesting import AttestationReader
from strake_oci.signatures.writing import push_bundle

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.keyless.identity import KeylessIdentity
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository


class KeylessImageSigner:
    """Signs images as somebody. Thread-safe.

    Args:
        client: Reads and writes the repositories.
        identity: Signs.
    """

    def __init__(self, client: RegistryClient, identity: KeylessIdentity) -> None:
        self._client = client
        self._identity = identity

    def sign(self, repository: Repository, image: Descriptor) -> tuple[SignatureForm, ...]:
        """Sign a manifest or index that is in a repository; return the forms that were not there yet.

        Raises:
            SigningKeyError: The identity cannot sign.
            RegistryError: The registry refused or failed.
        """
        # sigstore-python wants a name, which in-toto leaves to the author.
        statement = bundle.image_statement(image.digest, str(repository))
        signed = self._identity.bundle(statement)
        push_bundle(self._client, repository, image, signed, bundle.PREDICATE_TYPE)
        return (SignatureForm.BUNDLE,)


class KeylessAttestationSigner(AttestationReader):
    """Signs statements as somebody. Thread-safe.

    Args:
        client: Reads and writes the repositories.
        identity: Signs.
    """

    def __init__(self, client: RegistryClient, identity: KeylessIdentity) -> None:
        super().__init__(client)
        self._identity = identity

    def sign(self, repository: Repository, manifest: Digest, index: Digest | None = None) -> None:
        """Sign the statements of an attestation that is in a repository; of an index in place of its image.

        Raises:
            InvalidDocumentError: It is no attestation, or one that must not be signed.
            SigningKeyError: The identity cannot sign.
            RegistryError: The registry refused or failed. What was written before stays.
        """
        image, statements = self.statements(repository, manifest, index)
        for kind, content in statements:
            push_bundle(self._client, repository, image, self._identity.bundle(content), kind)
