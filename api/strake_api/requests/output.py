"""Where what a pod makes goes, how it is signed, and what is attested of it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from strake_api.models.document import Document
from strake_api.models.form import ImageForm
from strake_api.models.generator import GeneratorImage
from strake_api.values.attestations import AttestationForm, ProvenanceMode
from strake_api.values.signatures import SignatureForm

_OTHERS = 2


class VaultLogin(Document):
    """Where the platform's Vault is, and how a pod logs in."""

    address: Annotated[str, Field(max_length=512)]
    """https://HOST:PORT."""
    role: Annotated[str, Field(max_length=128)]
    """Vault's role for builder pods."""
    mount: Annotated[str, Field(max_length=128)] = "kubernetes"
    """Path of Vault's auth method."""
    engine: Annotated[str, Field(max_length=128)] = "transit"
    """Path of the transit engine."""
    token: str
    """Path of the mounted token of the pod's ServiceAccount."""


class KeylessSignature(Document):
    """As whom the image is signed: a token, and a Sigstore instance that makes a certificate for it."""

    config: Annotated[str, Field(max_length=1 << 18)]
    """The instance: `ClientTrustConfig` of Sigstore, in JSON."""
    token: str
    """Path of the mounted token of the pod's ServiceAccount."""


class Signature(Document):
    """How the image is signed before its tags move: with a mounted key, one in a KMS, or as somebody."""

    key: str | None = None
    """Path of the mounted private key, in cosign's form or in PKCS #8."""
    kms: Annotated[str, Field(max_length=512)] | None = None
    """A key in a KMS, as cosign's URI, in place of `key`."""
    vault: VaultLogin | None = None
    """For a key of Vault's; without it cosign's variables tell where Vault is."""
    password: str | None = None
    """Path of the file with its password; where there is no such file, it has none."""
    keyless: KeylessSignature | None = None
    """An identity, in place of a key."""
    form: SignatureForm = "both"
    """Of a key's signatures; an identity's are bundles."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if [self.key, self.kms, self.keyless].count(None) != _OTHERS:
            raise ValueError("output.sign names one of key, kms and keyless")
        return self


class SBOM(Document):
    """A list of what is in the image."""

    generator: GeneratorImage
    """The image of the scanner, which runs when the last step has, over the image's files."""


class Attestations(Document):
    """What the build attests of the image."""

    provenance: ProvenanceMode = "min"
    sbom: SBOM | None = None
    """None is made where it is not given."""
    form: AttestationForm = "referrers"
    required: bool = True
    """False: a registry that does not take attestations is warned of, and gets the image without."""
    builder_id: Annotated[str, Field(max_length=512)] | None = None
    """URI of who builds, for `runDetails.builder.id`; Strake's own where it is not given."""


class Named(Document):
    """Which names something gets in registries, and how it is signed before it has them."""

    destinations: tuple[str, ...]
    """References to push to, without digests; without a tag `latest` is meant. Empty for files only.

    Tags may have the fields {revision}, {shortRevision}, {timestamp} and {date}, which the builder fills.
    """
    sign: Signature | None = None
    """Where there is a gateway, it alone reads the key."""

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field of the request."""
        return {
            "output.sign.key": self.sign.key if self.sign else None,
            "output.sign.password": self.sign.password if self.sign else None,
            "output.sign.vault.token": self.sign.vault.token if self.sign and self.sign.vault else None,
            "output.sign.keyless.token": self.sign.keyless.token if self.sign and self.sign.keyless else None,
        }


class Output(ImageForm, Named):
    """Where the image goes, and in which form."""

    by_digest: bool = False
    """Push to the destinations' repositories by digest, and move no tag: the image is for an index."""
    attestations: Attestations | None = None
    """None are made where it is not given."""
    skip_push_permission_check: bool = False
    """Find out about missing rights when there is something to push, not before the build starts."""
