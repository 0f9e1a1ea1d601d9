"""cosign's URIs of keys in a KMS.

Sources: sigstore, `pkg/signature/kms/{aws,gcp,azure,hashivault}/client.go`. What a URI names goes into
requests that carry credentials, so its parts have the characters that the services give them, and no others.
"""

from __future__ import annotations

import re
from typing import Final

from strake_oci.errors import InvalidValueError
from strake_oci.lazy_dataclass import dataclass

_SCHEMES: Final = ("awskms://", "gcpkms://", "azurekms://", "hashivault://")
_MAX: Final = 512
_UUID: Final = r"(?:mrk-[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
_ALIAS: Final = r"alias/[A-Za-z0-9/_-]+"
_AWS: Final = re.compile(
    r"awskms://(?P<endpoint>[A-Za-z0-9.-]+(?::[0-9]{1,5})?)?/"
    rf"(?P<key>(?:arn:aws(?:-[a-z]+)*:kms:(?P<region>[a-z0-9-]+):[0-9]{{12}}:(?:key/{_UUID}|{_ALIAS}))|{_UUID}|{_ALIAS})",
    re.ASCII,
)
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
_GOOGLE: Final = re.compile(
    rf"gcpkms://(?P<name>projects/{_PART}/locations/{_PART}/keyRings/{_PART}/cryptoKeys/{_PART})"
    r"(?:/(?:cryptoKeyVersions|versions)/(?P<version>[0-9]+))?",
    re.ASCII,
)
_AZURE: Final = re.compile(
    r"azurekms://(?P<host>[a-z0-9-]+\.(?:vault|managedhsm)\."
    r"(?:azure\.net|azure\.cn|usgovcloudapi\.net|microsoftazure\.de))"
    r"/(?P<name>[A-Za-z0-9-]+)(?:/(?P<version>[a-z0-9]*))?",
    re.ASCII,
)
_VAULT: Final = re.compile(r"hashivault://(?P<name>\w(?:[\w.-]*\w)?)", re.ASCII)
_FORMS: Final = {
    "awskms://": "awskms://[ENDPOINT]/KEY, where KEY is a key's ID, its ARN, or alias/NAME",
    "gcpkms://": "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/cryptoKeyVersions/V]",
    "azurekms://": "azurekms://VAULT.vault.azure.net/KEY[/VERSION]",
    "hashivault://": "hashivault://KEY, a key of the transit engine",
}


@dataclass(frozen=True, slots=True)
class AWSKey:
    """A key of AWS KMS.

    Attributes:
        key: ID, ARN or alias.
        region: What the ARN says; "" for the identity's own.
        endpoint: Host of another endpoint than the region's, or "".
    """

    key: str
    region: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class GoogleKey:
    """A key of Google Cloud KMS.

    Attributes:
        name: "projects/…/cryptoKeys/K".
        version: Of the key; "" for the newest that is enabled.
    """

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class AzureKey:
    """A key of Azure Key Vault.

    Attributes:
        host: Of the vault. Only Azure's own: it is sent a token that opens all vaults of the identity.
        name: Of the key.
        version: Of the key; "" for the current one.
    """

    host: str
    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class VaultKey:
    """A key of the transit engine of HashiCorp Vault, or of OpenBao, which speaks the same.

    Attributes:
        name: Of the key.
    """

    name: str


KeyReference = AWSKey | GoogleKey | AzureKey | VaultKey


def is_key_uri(text: str) -> bool:
    """Tell whether a text names a key in a KMS, and not a file."""
    return text.startswith(_SCHEMES)


def parse_key_uri(text: str) -> KeyReference:
    """Read the URI of a key.

    Raises:
        InvalidValueError: It is none that cosign reads, or names a vault that is not Azure's.
    """
    shown = repr(text[:100])
    if len(text) <= _MAX:
        if found := _AWS.fullmatch(text):
            return AWSKey(found["key"], found["region"] or "", found["endpoint"] or "")
        if found := _GOOGLE.fullmatch(text):
            return GoogleKey(found["name"], found["version"] or "")
        if found := _AZURE.fullmatch(text):
            return AzureKey(found["host"], found["name"], found["version"] or "")
        if found := _VAULT.fullmatch(text):
            return VaultKey(found["name"])
    for scheme, form in _FORMS.items():
        if text.startswith(scheme):
            raise InvalidValueError(f"{shown} names no key", hint=f"write {form}")
    raise InvalidValueError(
        f"{shown} names no key of a KMS", hint=f"write one of {', '.join(_SCHEMES)} as cosign does"
    )
