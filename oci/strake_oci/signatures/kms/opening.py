"""From a URI to a key in a KMS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, assert_never

from strake_oci.cancellation import Cancellation
from strake_oci.errors import InvalidValueError, SigningKeyError
from strake_oci.signatures.kms.key import KMSKey
from strake_oci.signatures.kms.uri import AWSKey, AzureKey, GoogleKey, VaultKey, parse_key_uri

if TYPE_CHECKING:
    from strake_oci.signatures.kms.key import KeyService
    from strake_oci.signatures.kms.vault import VaultAccess


def open_kms_key(uri: str, vault: VaultAccess | None = None) -> KMSKey:
    """Return the key that a URI names. No service is asked for it yet.

    Args:
        uri: As cosign has it.
        vault: Where Vault is; None reads cosign's variables.

    Raises:
        SigningKeyError: The URI is none, or nothing tells where Vault is.
    """
    try:
        reference = parse_key_uri(uri)
    except InvalidValueError as error:
        raise SigningKeyError(error.message, hint=error.hint) from error
    service: KeyService
    cancellation = Cancellation()
    match reference:
        case AWSKey():
            from strake_oci.signatures.kms.aws import AWSService

            service = AWSService(reference)
        case GoogleKey():
            from strake_oci.signatures.kms.google import GoogleService

            service = GoogleService(reference, cancellation)
        case AzureKey():
            from strake_oci.signatures.kms.azure import AzureService

            service = AzureService(reference, cancellation)
        case VaultKey():
            from strake_oci.signatures.kms.vault import VaultAccess, VaultService

            service = VaultService(reference, vault or VaultAccess.of_variables(os.environ), cancellation)
        case _:
            assert_never(reference)
    return KMSKey(service, cancellation)
