"""Where the image goes."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.form import FORM_RULES, ImageForm
from strake_api.models.generator import GeneratorImage
from strake_api.models.rule import Rule, a_set, cel_rules, checked, obeying
from strake_api.spec.named import LocalReference
from strake_api.values.attestations import AttestationForm, ProvenanceMode
from strake_api.values.destinations import FIELD
from strake_api.values.signatures import A_KMS_KEY, SignatureForm

NO_DIGEST: Rule[str] = Rule(
    "!self.contains('@')",
    "a destination names where the image goes and cannot hold a digest: write registry/repository:tag",
    lambda destination: "@" not in destination,
)
_REFERENCE = (
    r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*"
    rf"(:([A-Za-z0-9_]|{FIELD})([A-Za-z0-9_.-]|{FIELD}){{0,127}})?$"
)
_FIELDS_IN_TAG = f"^[^{{}}]*:([^{{}}:/]|{FIELD})*$"
KNOWN_FIELDS: Rule[str] = Rule(
    f"!self.matches('[{{}}]') || self.matches('{_FIELDS_IN_TAG}')",
    "braces of a destination stand in its tag and hold one of branch, revision, shortRevision, timestamp, "
    "date, generation: registry/repository:{branch}-{timestamp}. The repository is fixed",
    lambda destination: (
        not re.search("[{}]", destination) or re.fullmatch(_FIELDS_IN_TAG, destination) is not None
    ),
)
_TAG_WITH_SLASH = "(^|/)[^/:]+:[^/]*[^0-9/][^/]*/"
A_REFERENCE: Rule[str] = Rule(
    f"self.contains('@') || self.contains('://') || self.matches('{_TAG_WITH_SLASH}')"
    f" || self.matches('[{{}}]') && !self.matches('{_FIELDS_IN_TAG}')"
    f" || self.matches('{_REFERENCE}')",
    "a destination is written registry/repository:tag, the repository in lower case",
    lambda destination: re.fullmatch(_REFERENCE, destination, re.ASCII) is not None,
)
NO_SCHEME: Rule[str] = Rule(
    "!self.contains('://')",
    "a destination is no URL: drop the scheme and write registry/repository:tag",
    lambda destination: "://" not in destination,
)
NO_SLASH_IN_TAG: Rule[str] = Rule(
    f"self.contains('://') || !self.matches('{_TAG_WITH_SLASH}')",
    "a tag cannot hold a '/', as names of branches do: write registry/repository:feature-x for feature/x",
    lambda destination: re.search(_TAG_WITH_SLASH, destination, re.ASCII) is None,
)


_OTHERS = 2
ONE_KEY: Rule[ImageSignature] = Rule(
    "(has(self.secretRef) ? 1 : 0) + (has(self.kms) ? 1 : 0) + (has(self.keyless) ? 1 : 0) == 1",
    "sign in one way: with a Secret (secretRef), a key in a KMS (kms), or the pod's identity (keyless)",
    lambda sign: [sign.secret_ref, sign.kms, sign.keyless].count(None) == _OTHERS,
)
A_BUNDLE: Rule[ImageSignature] = Rule(
    "!has(self.keyless) || self.form != 'legacy'",
    "keyless signatures are bundles: drop form, or write bundle",
    lambda sign: sign.keyless is None or sign.form != "legacy",
)


class Keyless(Document):
    """Sign as the pod's ServiceAccount, with a certificate of the platform's Fulcio. Write {}."""


class ImageSignature(Document):
    """With which key the image is signed, as cosign does; no tag moves to an image that is not."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_KEY, A_BUNDLE))

    secret_ref: LocalReference | None = None
    """A Secret with cosign's keys: cosign.key, and cosign.password where it is encrypted."""
    kms: Annotated[str, Field(max_length=512), *checked(A_KMS_KEY)] | None = None
    """A key in a KMS, as cosign's URI, which the identity of serviceAccountName may sign with."""
    keyless: Keyless | None = None
    """{} signs as the pod's ServiceAccount, with a certificate of the platform's Fulcio in place of a key."""
    form: SignatureForm = "both"
    """How the signature lies beside the image: legacy (a .sig tag), bundle (a referrer), or both."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        return obeying(self, ONE_KEY, A_BUNDLE)


class ImageSBOM(Document):
    """An SBOM: a list of what is in the image."""

    generator: GeneratorImage | None = None
    """The scanner's image, of BuildKit's protocol; the platform's (STRAKE_SBOM_GENERATOR) by default."""


class ImageAttestations(Document):
    """What the build attests of the image it made, for those who check what they run."""

    provenance: ProvenanceMode = "min"
    """SLSA provenance: min (from what it was built), max (arguments, Dockerfile and steps, too) or none."""
    sbom: ImageSBOM | None = None
    """Write {} for an SBOM by the platform's scanner."""
    form: AttestationForm = "referrers"
    """referrers: beside the image, whose digest stays. index: in an index with it, as BuildKit does."""


INDEX_IS_OCI: Rule[ImageOutput] = Rule(
    "self.mediaTypes != 'docker' || !has(self.attestations) || self.attestations.form != 'index'"
    " || self.attestations.provenance == 'none' && !has(self.attestations.sbom)",
    "attestations in an index need mediaTypes oci: use the form referrers",
    lambda output: (
        output.media_types != "docker"
        or output.attestations is None
        or output.attestations.form != "index"
        or (output.attestations.provenance == "none" and output.attestations.sbom is None)
    ),
)


class ImageOutput(ImageForm):
    """Where the image goes, and in which form."""

    model_config = ConfigDict(json_schema_extra=cel_rules(*FORM_RULES, INDEX_IS_OCI))

    destinations: Annotated[
        tuple[
            Annotated[
                str,
                Field(max_length=512),
                *checked(NO_DIGEST, NO_SCHEME, NO_SLASH_IN_TAG, KNOWN_FIELDS, A_REFERENCE),
            ],
            ...,
        ],
        *a_set(least=1, most=16),
    ]
    """References to push to, as registry/repository:tag; latest without a tag. A tag may have {fields}."""
    sign: ImageSignature | None = None
    attestations: ImageAttestations | None = None
    """By default provenance of the mode min, which a registry that takes none is only warned of."""

    @model_validator(mode="after")
    def _output_rules(self) -> Self:
        return obeying(self, INDEX_IS_OCI)
