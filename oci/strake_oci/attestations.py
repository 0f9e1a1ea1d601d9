"""Attestations of images: in-toto statements in manifests that refer to an image, or lie in its index.

Two forms. `referrers`: an artifact whose subject is the image (image-spec 1.1, manifest.md, "Guidelines for
Artifact Usage"); the image's digest stays. `index`: BuildKit's, an index with the image and, as one more
entry, the manifest of its attestations (BuildKit v0.34, docs/attestations/attestation-storage.md).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError, NotFoundError, OCIError, RegistryError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform
from strake_oci.verify import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.reference import Repository

MEDIA_TYPE: Final = "application/vnd.in-toto+json"
"""Of a statement, and the artifact type of what refers to an image."""
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
"""The predicate type of SLSA provenance."""
SPDX: Final = "https://spdx.dev/Document"
"""The predicate type of an SBOM in SPDX."""
CYCLONEDX: Final = "https://cyclonedx.org/bom"
"""The predicate type of an SBOM in CycloneDX."""
_NAMED: Final = {"provenance": frozenset({PROVENANCE}), "sbom": frozenset({SPDX, CYCLONEDX})}
PREDICATE_NOTE: Final = "in-toto.io/predicate-type"
"""The annotation of a layer that tells what its statement says."""
MAX_STATEMENT: Final = 40 << 20
"""Bytes; BuildKit's limit, too."""

_IN_INDEX: Final = "application/vnd.docker.attestation.manifest.v1+json"
_TYPE_NOTE: Final = "vnd.docker.reference.type"
_DIGEST_NOTE: Final = "vnd.docker.reference.digest"
_ATTESTATIONS: Final = "attestation-manifest"
_NOWHERE: Final = Platform("unknown", "unknown")
_MOST: Final = 256
"""Manifests that are looked into: what refers to an image anybody may have put there who can push."""


def predicate_types(name: str) -> frozenset[str]:
    """Return the predicate types of `provenance` and of `sbom`; of another name itself."""
    return _NAMED.get(name, frozenset({name}))


@unique
class AttestationForm(StrEnum):
    """Where attestations of an image lie."""

    REFERRERS = "referrers"
    """Beside it: manifests that refer to it."""
    INDEX = "index"
    """In an index with it, as BuildKit has them."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement that was found.

    Attributes:
        image: Digest of the manifest that it lies with.
        manifest: The manifest that carries it.
        statement: Its blob.
        predicate_type: What it says, "" where that is not noted.
        form: Where it was found.
    """

    image: Digest
    manifest: Descriptor
    statement: Descriptor
    predicate_type: str
    form: AttestationForm


def statement_layer(content: bytes, predicate_type: str) -> Descriptor:
    """Return the layer of a statement."""
    return replace(Descriptor.of(MEDIA_TYPE, content), annotations={PREDICATE_NOTE: predicate_type})


def attestation_manifest(
    image: Descriptor, layers: tuple[Descriptor, ...], form: AttestationForm
) -> Manifest:
    """Return the manifest that carries statements.

    Args:
        image: What they are about.
        layers: Those of the statements.
        form: Where it will lie. A referrer notes what its one statement says, so that a list of referrers
            tells; of several each layer does.
    """
    if form is AttestationForm.INDEX:
        return make_artifact(_IN_INDEX, layers, subject=image)
    notes = layers[0].annotations if len(layers) == 1 else None
    return make_artifact(MEDIA_TYPE, layers, subject=image, annotations=notes)


def attested_index(image: Descriptor, platform: Platform, manifest: Descriptor) -> Index:
    """Return the index of an image and the manifest of its attestations."""
    notes = {_DIGEST_NOTE: str(image.digest), _TYPE_NOTE: _ATTESTATIONS}
    return Index(
        (
            replace(image, platform=platform),
            replace(manifest, platform=_NOWHERE, annotations=notes),
        )
    )


def is_attestation(document: Manifest | Index) -> bool:
    """Tell whether a manifest carries statements about an image, and nothing else."""
    return (
        isinstance(document, Manifest)
        and document.artifact_type in {MEDIA_TYPE, _IN_INDEX}
        and all(layer.media_type == MEDIA_TYPE for layer in document.layers)
    )


def find_attestations(client: RegistryClient, repository: Repository, top: Digest) -> tuple[Attestation, ...]:
    """Return the statements about an image, or about an index and the images in it, in both forms.

    Manifests of others that are none, or that cannot be read, are passed over.

    Raises:
        RegistryError: The registry refused or failed.
    """
    descriptor, data = client.manifest(repository, top)
    document = parse(data, descriptor.media_type)
    found: dict[Digest, Attestation] = {}
    subjects = [top]
    if isinstance(document, Index):
        for entry in document.manifests[:_MOST]:
            if entry.annotations.get(_TYPE_NOTE) != _ATTESTATIONS:
                subjects.append(entry.digest)
                continue
            for each in _read_entry(client, repository, entry):
                found.setdefault(each.statement.digest, each)
    for subject in subjects:
        for referrer in client.referrers(repository, subject)[-_MOST:]:
            if referrer.artifact_type in {"", MEDIA_TYPE, _IN_INDEX, mediatype.OCI_EMPTY}:
                in_index = referrer.artifact_type == _IN_INDEX
                form = AttestationForm.INDEX if in_index else AttestationForm.REFERRERS
                for each in _statements(client, repository, referrer, subject, form):
                    found.setdefault(each.statement.digest, each)
    return tuple(found.values())


def read_statement(client: RegistryClient, repository: Repository, statement: Descriptor) -> bytes:
    """Return a statement, as the bytes it came as.

    Raises:
        InvalidDocumentError: It is longer than `MAX_STATEMENT`.
        OCIError: It is not there, or not what the descriptor says.
    """
    if statement.size > MAX_STATEMENT:
        raise InvalidDocumentError(
            f"the statement {statement.digest} is longer than {MAX_STATEMENT >> 20} MiB"
        )
    return read_whole(lambda: client.open_blob(repository, statement))


def _read_entry(client: RegistryClient, repository: Repository, entry: Descriptor) -> Iterator[Attestation]:
    try:
        image = Digest.parse(entry.annotations.get(_DIGEST_NOTE, ""))
    except OCIError:
        return
    yield from _statements(client, repository, entry, image, AttestationForm.INDEX)


def _statements(
    client: RegistryClient, repository: Repository, manifest: Descriptor, image: Digest, form: AttestationForm
) -> Iterator[Attestation]:
    try:
        descriptor, data = client.manifest(repository, manifest.digest)
        document = parse(data, descriptor.media_type)
    except NotFoundError:
        return
    except RegistryError:
        raise
    except OCIError:
        return
    for layer in document.layers if isinstance(document, Manifest) else ():
        if layer.media_type == MEDIA_TYPE:
            yield Attestation(image, descriptor, layer, layer.annotations.get(PREDICATE_NOTE, ""), form)
