"""Looks in a repository for signatures of an image that a key made.

What lies beside an image anybody may have put there who can push: what cannot be read, or is too long, is
passed over, and only so much is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError, NotFoundError, OCIError, RegistryError, UnverifiedError
from strake_oci.signatures import SignatureForm, bundle, simple_signing
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Manifest, parse

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.keys import VerificationKey
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

_MOST: Final = 256
"""Signatures that are looked at in each form."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """What was found beside an image.

    Attributes:
        verified: The forms in which the key signed it.
        seen: How many signatures of each form there are, whoever made them.
    """

    verified: tuple[SignatureForm, ...]
    seen: tuple[tuple[SignatureForm, int], ...]


def verify_image(
    client: RegistryClient, repository: Repository, digest: Digest, key: VerificationKey
) -> Signatures:
    """Look for signatures of a manifest or index, in both forms.

    Raises:
        UnverifiedError: There is none, or none that this key made.
        RegistryError: The registry refused or failed.
    """
    found = find_signatures(client, repository, digest, key)
    if found.verified:
        return found
    count = sum(number for _, number in found.seen)
    if not count:
        raise UnverifiedError(
            f"{repository}@{digest} has no signature",
            hint="sign it when it is built: `strake build --sign-key`",
        )
    those = "the signature" if count == 1 else f"none of the {count} signatures"
    verb = "was not made with this key" if count == 1 else "was made with this key"
    raise UnverifiedError(
        f"{those} of {repository}@{digest} {verb}", hint="give the public key of the pair that signed it"
    )


def find_signatures(
    client: RegistryClient, repository: Repository, digest: Digest, key: VerificationKey
) -> Signatures:
    """Return what lies beside a manifest, and in which forms a key signed it.

    Raises:
        RegistryError: The registry refused or failed.
    """
    tagged = _tagged(client, repository, digest)
    layers = tagged.layers[:_MOST] if tagged else ()
    legacy = any(has_signed(client, repository, each, digest, key) for each in layers)
    referring = bundles(client, repository, digest)
    bundled = any(_is_bundled(client, repository, each, digest, key) for each in referring)
    return Signatures(
        tuple(
            form
            for form, is_there in ((SignatureForm.LEGACY, legacy), (SignatureForm.BUNDLE, bundled))
            if is_there
        ),
        ((SignatureForm.LEGACY, len(layers)), (SignatureForm.BUNDLE, len(referring))),
    )


def has_bundle(client: RegistryClient, repository: Repository, digest: Digest, key: VerificationKey) -> bool:
    """Tell whether a key has signed a manifest in the form `bundle`."""
    referring = bundles(client, repository, digest)
    return any(_is_bundled(client, repository, each, digest, key) for each in referring)


def has_signed(
    client: RegistryClient,
    repository: Repository,
    layer: Descriptor,
    digest: Digest,
    key: VerificationKey,
) -> bool:
    """Tell whether a layer under an image's `.sig` tag is a key's signature of the image."""
    if layer.media_type != simple_signing.MEDIA_TYPE:
        return False
    content = _read(client, repository, layer, simple_signing.MAX_PAYLOAD)
    return simple_signing.is_signed(layer, content, key) and simple_signing.is_about(content, digest)


def bundles(client: RegistryClient, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
    """Return the bundles that refer to a manifest: signatures and attestations."""
    found = client.referrers(repository, digest)
    # Not every registry, and not every client that keeps the fallback tag, tells what it lists: some give the
    # media type of the config instead.
    return tuple(
        each
        for each in found
        if each.artifact_type in {"", mediatype.OCI_EMPTY} or each.artifact_type.startswith(bundle.FAMILY)
    )[:_MOST]


def tagged_signatures(client: RegistryClient, repository: Repository, digest: Digest) -> Manifest | None:
    """Return what a manifest's `.sig` tag has; None where there is no such tag.

    Raises:
        InvalidDocumentError: It has something else.
    """
    try:
        descriptor, data = client.manifest(repository, simple_signing.signature_tag(digest))
    except NotFoundError:
        return None
    document = parse(data, descriptor.media_type)
    if not isinstance(document, Manifest):
        raise InvalidDocumentError(
            f"{repository}:{simple_signing.signature_tag(digest)} is an index, and no signatures",
            hint="delete the tag, or sign in the form bundle alone",
        )
    return document


def _tagged(client: RegistryClient, repository: Repository, digest: Digest) -> Manifest | None:
    try:
        return tagged_signatures(client, repository, digest)
    except RegistryError:
        raise
    except OCIError:
        return None


def _is_bundled(
    client: RegistryClient,
    repository: Repository,
    referrer: Descriptor,
    digest: Digest,
    key: VerificationKey,
) -> bool:
    try:
        descriptor, data = client.manifest(repository, referrer.digest)
        document = parse(data, descriptor.media_type)
    except NotFoundError:
        return False
    except RegistryError:
        raise
    except OCIError:
        return False
    if not isinstance(document, Manifest):
        return False
    contents = [each for each in document.layers if each.media_type.startswith(bundle.FAMILY)][:1]
    return any(
        bundle.is_signed(_read(client, repository, each, bundle.MAX_BUNDLE), digest, key) for each in contents
    )


def _read(client: RegistryClient, repository: Repository, blob: Descriptor, limit: int) -> bytes:
    """Return a blob, checked; b"" for one that is too long, is not there, or is not what it should be."""
    if blob.size > limit:
        return b""
    data = bytearray()
    try:
        with client.open_blob(repository, blob) as content:
            while piece := content.read(limit):
                data += piece
    except NotFoundError:
        return b""
    except RegistryError:
        raise
    except OCIError:
        return b""
    return bytes(data)
