"""How a signature lies beside its image, and URIs of keys in a KMS, as cosign writes them.

The builder reads those URIs (`strake_oci.signatures.kms.uri`), of which this package knows nothing: a test
compares both.
"""

from __future__ import annotations

import re
from typing import Literal

from strake_api.models.rule import Rule

SignatureForm = Literal["legacy", "bundle", "both"]
"""Under a tag made of the image's digest, as a Sigstore bundle that refers to the image, or in both forms."""

_UUID = "(mrk-[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
_ALIAS = "alias/[A-Za-z0-9/_-]+"
_PART = "[A-Za-z0-9][A-Za-z0-9._:-]*"
# AWS's own hosts alone: a request has a session's token, and the author of a build names the host.
_AWS = (
    r"awskms://([A-Za-z0-9.-]+\.(amazonaws\.com(\.cn)?|api\.aws))?/"
    rf"(arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{{12}}:(key/{_UUID}|{_ALIAS})|{_UUID}|{_ALIAS})"
)
_GOOGLE = (
    rf"gcpkms://projects/{_PART}/locations/{_PART}/keyRings/{_PART}/cryptoKeys/{_PART}"
    "(/(cryptoKeyVersions|versions)/[0-9]+)?"
)
_AZURE = (
    r"azurekms://[a-z0-9-]+\.(vault|managedhsm)\.(azure\.net|azure\.cn|usgovcloudapi\.net|microsoftazure\.de)"
    "/[A-Za-z0-9-]+(/[a-z0-9]*)?"
)
_VAULT = r"hashivault://[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_PATTERN = f"^({_AWS}|{_GOOGLE}|{_AZURE}|{_VAULT})$"
VAULT_SCHEME = "hashivault://"

A_KMS_KEY: Rule[str] = Rule(
    # In CEL a backslash is written twice.
    "self.matches('{}')".format(_PATTERN.replace("\\", "\\\\")),
    "kms is a key as cosign writes it: awskms:///KEY, "
    "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K, azurekms://VAULT.vault.azure.net/KEY or hashivault://KEY",
    lambda text: re.fullmatch(_PATTERN, text, re.ASCII) is not None,
)
