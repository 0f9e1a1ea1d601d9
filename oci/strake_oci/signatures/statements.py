"""Looks in a repository for statements about an image that a key signed.

What lies beside an image anybody may have put there who can push: what cannot be read, is about something
else, or was not signed by the key is passed over, and only so much is looked at. Sources: cosign,
`specs/ATTESTATION_SPEC.md` for the tag `sha256-….att`; Sigstore bundles as `bundle` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError, OCIError, RegistryError, UnverifiedError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.signatures import SignatureForm, bundle
from strake_oci.signatures.attesting import ENVELOPE_TYPE, MAX_SIGNED, attestation_tag
from strake_oci.signatures.keyless.certificate import CertificateSigners
from strake_oci.signatures.verification import SignatureReader
from strake_oci.spec.manifest import Index, Manifest, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.bundle import Verifier
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

_MOST: Final = 64
"""Envelopes that are read for an image in each form, the latest first."""
_MAX_ENVELOPE: Final = MAX_SIGNED * 4 // 3 + (1 << 16)
"""Bytes: the statement in base64, and what is around it."""


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement about an image that the key signed.

    Attributes:
        image: The manifest that it is about.
        predicate_type: What it says.
        form: Where it lies.
        content: The in-toto statement, as it was signed.
    """

    image: Digest
    predicate_type: str
    form: SignatureForm
    content: bytes


def verify_statements(
    client: RegistryClient,
    repository: Repository,
    digest: Digest,
    key: Verifier,
    kinds: Collection[str],
) -> tuple[SignedStatement, ...]:
    """Return the signed statements about an image; of an index, about each of its images.

    Args:
        client: Reads the repository.
        repository: Where the image is.
        digest: Of its manifest or index.
        key: Whose signatures count.
        kinds: Predicate types, any of which will do.

    Raises:
        UnverifiedError: An image has no statement of these types that the key signed.
        RegistryError: The registry refused or failed.
    """
    found: list[SignedStatement] = []
    for image in _images(client, repository, digest):
        reader = SignatureReader(client, repository, image, key)
        about = [each for each in _signed(reader, image, key) if each.predicate_type in kinds]
        if not about:
            raise UnverifiedError(
                f"{repository}@{image} has no attestation of {' or '.join(sorted(kinds))} "
                f"that was signed {_by(key)}",
                hint="`strake attestations IMAGE` lists what there is; a build signs with --sign-key",
            )
        found += about
    return tuple(found)


def _by(key: Verifier) -> str:
    return f"by {key.shown}" if isinstance(key, CertificateSigners) else "with this key"


def _images(client: RegistryClient, repository: Repository, digest: Digest) -> tuple[Digest, ...]:
    descriptor, data = client.manifest(repository, digest)
    document = parse(data, descriptor.media_type)
    if not isinstance(document, Index):
        return (digest,)
    images = tuple(
        each.digest for each in document.manifests if each.platform is None or each.platform.os != "unknown"
    )
    if not images:
        raise InvalidDocumentError(f"{repository}@{digest} is an index without images")
    return images


def _signed(reader: SignatureReader, image: Digest, key: Verifier) -> Iterator[SignedStatement]:
    if not isinstance(key, CertificateSigners):  # its proofs are in bundles
        for content in _tagged(reader, image):
            if found := bundle.enveloped_statement(content, image, key, limit=_MAX_ENVELOPE):
                yield SignedStatement(image, found[0], SignatureForm.LEGACY, found[1])
    for content in _bundled(reader):
        if found := bundle.signed_statement(content, image, key, limit=_MAX_ENVELOPE):
            yield SignedStatement(image, found[0], SignatureForm.BUNDLE, found[1])


def _tagged(reader: SignatureReader, image: Digest) -> Iterator[bytes]:
    try:
        manifest = reader.tagged(attestation_tag(image))
    except RegistryError:
        raise
    except OCIError:
        return
    layers = [each for each in manifest.layers if each.media_type == ENVELOPE_TYPE] if manifest else []
    for layer in reversed(layers[-_MOST:]):
        yield reader.read(layer, _MAX_ENVELOPE)


def _bundled(reader: SignatureReader) -> Iterator[bytes]:
    for referrer in reversed(reader.attestation_bundles()[-_MOST:]):
        if (layer := _envelope(reader, referrer)) is not None:
            yield reader.read(layer, _MAX_ENVELOPE)


def _envelope(reader: SignatureReader, referrer: Descriptor) -> Descriptor | None:
    try:
        document = reader.manifest(referrer.digest)
    except RegistryError:
        raise
    except OCIError:
        return None
    layers = document.layers if isinstance(document, Manifest) else ()
    return next((each for each in layers if each.media_type.startswith(bundle.FAMILY)), None)
