"""Signatures of images, as cosign makes and reads them.

| module | is about |
|---|---|
| `key_file` | cosign's file of an encrypted private key |
| `keys` | what signs, and what verifies |
| `kms` | keys that stay in a KMS |
| `simple_signing` | the form `legacy`: a payload under the tag `sha256-….sig` |
| `bundle` | the form `bundle`: a Sigstore bundle that refers to the image |
| `attesting` | `AttestationSigner` signs statements about an image, in both forms |
| `keyless` | signatures by identity, with certificates of Fulcio's |
| `writing` | `ImageSigner` puts signatures into a repository |
| `verification` | `verify_image` looks for one that a key made |

Two forms, since policy controllers differ in which one they read. A key is a file, or in a KMS, and needs
neither certificate nor transparency log; an identity needs both. Keys need the extra `sign`, identities
`keyless`, and nothing else of the library does.
"""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class SignatureForm(StrEnum):
    """How a signature lies beside its image."""

    LEGACY = "legacy"
    """A tag of its own, which cosign 1 and 2, and most policy controllers, read."""
    BUNDLE = "bundle"
    """A referrer of the image, which cosign 3 writes."""


BOTH = (SignatureForm.LEGACY, SignatureForm.BUNDLE)
