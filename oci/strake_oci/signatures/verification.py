"""Looks in a repository for signatures of an image that a key made.

What lies beside an image anybody may have put there who can push: what cannot be read, or is too long, is
passed over, and only so much is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.errors import (
    InvalidDocumentError,
    NotFoundError,
    OCIError,
    RegistryError,
    UnverifiedError,
)
from strake_oci.lazy_dataclass import dataclass
from strake_oci.signatures import SignatureForm, bundle, simple_signing
from strake_oci.signatures.keyless.certificate import CertificateSigners
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.verify import read_whole

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.bundle import Verifier
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

_MOST: Final = 256
"""Blobs that are read for an image in each form. Signers of one image in one repository share a payload."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """What was found beside an image.

    Attributes:
        verified: The forms in which the key signed it.
        seen: How many signatures of each form there are, of all keys.
    """

    verified: tuple[SignatureForm, ...]
    seen: tuple[tuple[SignatureForm, int], ...]


def verify_image(client: RegistryClient, repository: Repository, digest: Digest, key: Verifier) -> Signatures:
    """Look for signatures of a manifest or index, in both forms.

    Raises:
        UnverifiedError: There is none, or none that this key made.
        RegistryError: The registry refused or failed.
    """
    reader = SignatureReader(client, repository, digest, key)
    try:
        tagged = reader.tagged()
    except RegistryError:
        raise
    except OCIError:
        tagged = None
    referrers = reader.bundles()
    legacy, bundled = reader.is_tagged(tagged), reader.is_bundled(referrers)
    count = len(tagged.layers if tagged else ()) + len(referrers)
    if not legacy and not bundled:
        raise _unverified(f"{repository}@{digest}", count, key)
    by_form = {SignatureForm.LEGACY: legacy, SignatureForm.BUNDLE: bundled}
    return Signatures(
        tuple(form for form, is_there in by_form.items() if is_there),
        ((SignatureForm.LEGACY, count - len(referrers)), (SignatureForm.BUNDLE, len(referrers))),
    )


def _unverified(image: str, count: int, key: Verifier) -> UnverifiedError:
    if not count:
        hint = "sign it when it is built: `strake build --sign-key`"
        return UnverifiedError(f"{image} has no signature", hint=hint)
    if isinstance(key, CertificateSigners):
        return UnverifiedError(
            f"{image} has no signature of {key.shown}, that the trusted root vouches for",
            hint="`cosign verify` tells of whom there are signatures",
        )
    some = "the signature" if count == 1 else f"none of the {count} signatures"
    verb = "was not made with this key" if count == 1 else "was made with this key"
    hint = "give the public key of the pair that signed it"
    return UnverifiedError(f"{some} of {image} {verb}", hint=hint)


class SignatureReader:
    """Reads what lies beside one manifest or index.

    Args:
        client: Reads the repository.
        repository: Where it is.
        digest: Its name.
        key: Whose signatures count.

    Every method raises RegistryError where the registry refuses or fails.
    """

    def __init__(self, client: RegistryClient, repository: Repository, digest: Digest, key: Verifier) -> None:
        self._client = client
        self._repository = repository
        self._digest = digest
        self._key = key

    def tagged(self, tag: str | None = None) -> Manifest | None:
        """Return what the tag of the signatures, or another, has; None where there is no such tag.

        Raises:
            InvalidDocumentError: It has something else.
        """
        tag = tag or simple_signing.signature_tag(self._digest)
        try:
            document = self.manifest(tag)
        except NotFoundError:
            return None
        if isinstance(document, Index):
            raise InvalidDocumentError(
                f"{self._repository.tag(tag)} is an index, and no signatures",
                hint="delete the tag, or sign in the form bundle alone",
            )
        return document

    def is_tagged(self, manifest: Manifest | None) -> bool:
        """Tell whether the key made one of the signatures under the tag."""
        key = self._key
        if isinstance(key, CertificateSigners):
            return False  # its proofs are in bundles
        layers = [
            each
            for each in (manifest.layers if manifest else ())
            if each.media_type == simple_signing.MEDIA_TYPE
        ]
        contents: dict[Digest, bytes] = {}
        for layer in reversed(layers):  # the latest first: an old tag may have many
            if layer.digest not in contents:
                if len(contents) == _MOST:
                    continue
                contents[layer.digest] = self.read(layer, simple_signing.MAX_PAYLOAD)
            content = contents[layer.digest]
            is_ours = simple_signing.is_signed(layer, content, key)
            if is_ours and simple_signing.is_about(content, self._digest):
                return True
        return False

    def bundles(self) -> tuple[Descriptor, ...]:
        """Return the bundles that refer to the image and may be its signatures."""
        found = self._client.referrers(self._repository, self._digest)
        return tuple(each for each in found if _may_sign(each))

    def attestation_bundles(self) -> tuple[Descriptor, ...]:
        """Return the bundles that refer to the image and may be attestations."""
        found = self._client.referrers(self._repository, self._digest)
        return tuple(each for each in found if _may_attest(each))

    def is_bundled(self, referrers: tuple[Descriptor, ...]) -> bool:
        """Tell whether the key made one of some bundles."""
        return any(self._is_signature(each) for each in referrers[-_MOST:])

    def _is_signature(self, referrer: Descriptor) -> bool:
        try:
            document = self.manifest(referrer.digest)
        except NotFoundError:
            return False
        except RegistryError:
            raise
        except OCIError:
            return False
        layers = document.layers if isinstance(document, Manifest) else ()
        for layer in layers:
            if layer.media_type.startswith(bundle.FAMILY):
                content = self.read(layer, bundle.MAX_BUNDLE)
                return bundle.is_signed(content, self._digest, self._key)
        return False

    def manifest(self, identifier: Digest | str) -> Manifest | Index:
        """Return a manifest or index of the repository."""
        descriptor, data = self._client.manifest(self._repository, identifier)
        return parse(data, descriptor.media_type)

    def read(self, blob: Descriptor, limit: int) -> bytes:
        """Return a blob, checked; b"" for one that is too long, is not there, or is not what it should be."""
        if blob.size > limit:
            return b""
        try:
            return read_whole(lambda: self._client.open_blob(self._repository, blob))
        except NotFoundError:
            return b""
        except RegistryError:
            raise
        except OCIError:
            return b""


def _may_sign(referrer: Descriptor) -> bool:
    """Tell whether a referrer may be a signature, as far as the list of referrers tells.

    Not every registry, and not every client that keeps the fallback tag, tells what it lists: some give the
    media type of the config for the artifact's, and some leave annotations out.
    """
    predicate = referrer.annotations.get(bundle.PREDICATE_NOTE, bundle.PREDICATE_TYPE)
    return _may_be_bundle(referrer) and predicate == bundle.PREDICATE_TYPE


def _may_attest(referrer: Descriptor) -> bool:
    """Tell the same of attestations."""
    return (
        _may_be_bundle(referrer) and referrer.annotations.get(bundle.PREDICATE_NOTE) != bundle.PREDICATE_TYPE
    )


def _may_be_bundle(referrer: Descriptor) -> bool:
    kind = referrer.artifact_type
    return kind in {"", mediatype.OCI_EMPTY} or kind.startswith(bundle.FAMILY)
