"""URIs of keys: what cosign reads, and what must not get into a request that carries credentials."""

from __future__ import annotations

import pytest

from strake_api.values.signatures import A_KMS_KEY
from strake_oci.errors import InvalidValueError
from strake_oci.signatures.kms.uri import AWSKey, AzureKey, GoogleKey, VaultKey, is_key_uri, parse_key_uri

UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:us-east-2:111122223333:key/{UUID}"
RING = "projects/p/locations/global/keyRings/r/cryptoKeys/k"

KEYS = {
    f"awskms:///{UUID}": AWSKey(UUID),
    f"awskms:///mrk-{'a' * 32}": AWSKey(f"mrk-{'a' * 32}"),
    f"awskms:///{ARN}": AWSKey(ARN, "us-east-2"),
    "awskms:///alias/team/app": AWSKey("alias/team/app"),
    "awskms:///arn:aws-us-gov:kms:us-gov-east-1:111122223333:alias/app": AWSKey(
        "arn:aws-us-gov:kms:us-gov-east-1:111122223333:alias/app", "us-gov-east-1"
    ),
    f"awskms://vpce-1.kms.us-east-2.vpce.amazonaws.com/{UUID}": AWSKey(
        UUID, endpoint="vpce-1.kms.us-east-2.vpce.amazonaws.com"
    ),
    f"gcpkms://{RING}": GoogleKey(RING),
    f"gcpkms://{RING}/cryptoKeyVersions/2": GoogleKey(RING, "2"),
    f"gcpkms://{RING.replace('/p/', '/example.com:p/')}/versions/2": GoogleKey(
        RING.replace("/p/", "/example.com:p/"), "2"
    ),
    "azurekms://team.vault.azure.net/app": AzureKey("team.vault.azure.net", "app"),
    "azurekms://team.managedhsm.azure.net/app/1f": AzureKey("team.managedhsm.azure.net", "app", "1f"),
    "hashivault://app-1.x": VaultKey("app-1.x"),
}


@pytest.mark.parametrize("text", KEYS)
def test_what_cosign_reads_is_read_by_manifests_too(text):
    assert is_key_uri(text)
    assert parse_key_uri(text) == KEYS[text]
    assert A_KMS_KEY.holds(text)


REFUSED = [
    "",
    "cosign.key",
    "awskms://",
    "awskms:///",
    f"awskms:///{UUID}/../other",
    f"awskms://user:password@kms.amazonaws.com/{UUID}",
    f"awskms:///{UUID}\n",
    "awskms:///alias/a b",
    "gcpkms://projects/../locations/l/keyRings/r/cryptoKeys/k",
    f"gcpkms://{RING}/cryptoKeyVersions/latest",
    f"gcpkms://{RING}?alt=media",
    "azurekms://evil.example/app",
    "azurekms://team.vault.azure.net.evil.example/app",
    "azurekms://team.vault.azure.net/app/../other",
    "azurekms://team.vault.azure.net:8443/app",
    "azurekms://a@team.vault.azure.net/app",
    "hashivault://",
    "hashivault://app/../../sys/auth",
    "hashivault://..",
    "hashivault://ключ",
    "hashivault://" + "a" * 600,
]


@pytest.mark.parametrize("text", REFUSED)
def test_nothing_else_names_a_key(text):
    with pytest.raises(InvalidValueError):
        parse_key_uri(text)
    assert not A_KMS_KEY.holds(text) or len(text) > 512


def test_a_manifest_names_endpoints_of_amazon_alone():
    text = "awskms://localhost:4566/alias/app"
    assert parse_key_uri(text) == AWSKey("alias/app", endpoint="localhost:4566")
    assert not A_KMS_KEY.holds(text)
