"""Puts signatures of an image beside it, in its own repository.

What others put there stays: a `.sig` tag gets one more layer, and a bundle is one more referrer. A manifest
that the key has signed already is not signed again, so that a build that runs twice changes nothing.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError
from strake_oci.signatures import BOTH, SignatureForm, bundle, simple_signing
from strake_oci.signatures.verification import SignatureReader
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.keys import PrivateKey
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

_TRIES: Final = 4
"""How often a tag is written that another signer writes at the same time. No registry writes a tag only if it
is what was read, so what is written is read again: a signer that is slower still may take it away.
"""


class ImageSigner:
    """Signs images with one key. Thread-safe.

    Args:
        client: Reads and writes the repositories.
        key: Signs.
        forms: In which forms.
    """

    def __init__(
        self, client: RegistryClient, key: PrivateKey, forms: tuple[SignatureForm, ...] = BOTH
    ) -> None:
        self._client = client
        self._key = key
        self._forms = forms

    def sign(self, repository: Repository, image: Descriptor) -> tuple[SignatureForm, ...]:
        """Sign a manifest or index that is in a repository; return the forms that were not there yet.

        Args:
            repository: Where it is, and its signatures go.
            image: Its media type, digest and size.

        Raises:
            InvalidDocumentError: Something else than signatures is under the tag of its signatures.
            RegistryError: The registry refused or failed. What was written before stays.
        """
        writers = {SignatureForm.LEGACY: self._tag, SignatureForm.BUNDLE: self._refer}
        return tuple(form for form in BOTH if form in self._forms and writers[form](repository, image))

    def _tag(self, repository: Repository, image: Descriptor) -> bool:
        content = simple_signing.payload(repository, image.digest)
        layer = simple_signing.signed_layer(content, self._key)
        reference = Reference(repository, simple_signing.signature_tag(image.digest))
        reader = self._reader(repository, image.digest)
        for attempt in range(_TRIES):
            manifest = reader.tagged()
            if reader.is_tagged(manifest):
                return attempt > 0
            config, data = simple_signing.with_layer(manifest, layer)
            self._push_blob(repository, Descriptor.of(mediatype.OCI_CONFIG, config), config)
            self._push_blob(repository, layer, content)
            self._client.push_manifest(reference, data, mediatype.OCI_MANIFEST)
        # Who wrote it meanwhile took ours away each time.
        manifest = reader.tagged()
        if manifest is None or layer not in manifest.layers:
            raise InvalidDocumentError(f"{reference} is changed by others all the time", hint="try again")
        return True

    def _reader(self, repository: Repository, digest: Digest) -> SignatureReader:
        return SignatureReader(self._client, repository, digest, self._key.public)

    def _refer(self, repository: Repository, image: Descriptor) -> bool:
        reader = self._reader(repository, image.digest)
        if reader.is_bundled(reader.bundles()):
            return False
        push_bundle(
            self._client,
            repository,
            image,
            bundle.signed_bundle(image.digest, self._key),
            bundle.PREDICATE_TYPE,
        )
        return True

    def _push_blob(self, repository: Repository, blob: Descriptor, content: bytes) -> None:
        self._client.push_blob(repository, blob, lambda: io.BytesIO(content))


def push_bundle(
    client: RegistryClient, repository: Repository, image: Descriptor, content: bytes, predicate_type: str
) -> None:
    """Push a bundle that refers to an image.

    Args:
        client: Writes the repository.
        repository: Where the image is.
        image: What the bundle is about.
        content: The bundle.
        predicate_type: What its statement says.

    Raises:
        RegistryError: The registry refused or failed.
    """
    layer = Descriptor.of(bundle.MEDIA_TYPE, content)
    notes = bundle.notes(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), predicate_type)
    manifest = make_artifact(bundle.MEDIA_TYPE, (layer,), subject=image, annotations=notes).serialize()
    client.push_blob(repository, EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
    client.push_blob(repository, layer, lambda: io.BytesIO(content))
    reference = repository.at(Descriptor.of(mediatype.OCI_MANIFEST, manifest).digest)
    client.push_manifest(reference, manifest, mediatype.OCI_MANIFEST)
