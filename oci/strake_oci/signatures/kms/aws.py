"""AWS KMS, by the official botocore: it finds the role of the pod or of the machine, and signs requests.

Source: AWS, "GetPublicKey" and "Sign" of the KMS API reference. Needs `kms:GetPublicKey` and `kms:Sign`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from strake_oci.errors import SigningKeyError
from strake_oci.signatures.keys import KeyKind
from strake_oci.signatures.kms.encodings import pem_of_der

if TYPE_CHECKING:
    from strake_oci.signatures.kms.uri import AWSKey

_ALGORITHMS: Final = {
    KeyKind.ECDSA: ("ECDSA_SHA_256", "DIGEST"),
    KeyKind.RSA: ("RSASSA_PKCS1_V1_5_SHA_256", "DIGEST"),
    KeyKind.ED25519: ("ED25519_SHA_512", "RAW"),
}
_MAX_RAW: Final = 4096
_RIGHTS: Final = "give the service account a role that allows kms:GetPublicKey and kms:Sign for this key"


class AWSService:
    """A key of AWS KMS. Thread-safe; a `KeyService`.

    Args:
        reference: Which key.
    """

    def __init__(self, reference: AWSKey) -> None:
        self._reference = reference
        self._lock = threading.Lock()
        self._client: Any = None
        self._key = reference.key

    @property
    def name(self) -> str:
        """The key, with its service."""
        return f"AWS KMS, key {self._reference.key}"

    def public_key(self) -> bytes:
        """Return the public key in PEM."""
        answer = self._ask("get_public_key", KeyId=self._reference.key)
        if answer.get("KeyUsage") != "SIGN_VERIFY":
            raise SigningKeyError("it is no key that signs", hint="make one with the key usage SIGN_VERIFY")
        # An alias may become another key's; the answer has the ARN of the key itself.
        self._key = str(answer.get("KeyId") or self._reference.key)
        return pem_of_der(bytes(answer["PublicKey"]))

    def sign(self, data: bytes, kind: KeyKind) -> bytes:
        """Return the signature of some data."""
        algorithm, form = _ALGORITHMS[kind]
        if form == "RAW" and len(data) > _MAX_RAW:
            raise SigningKeyError(
                f"a key of Ed25519 in AWS KMS signs {_MAX_RAW} bytes at most, and this is {len(data)}",
                hint="use a key of the kind ECC_NIST_P256",
            )
        message = hashlib.sha256(data).digest() if form == "DIGEST" else data
        answer = self._ask(
            "sign", KeyId=self._key, Message=message, MessageType=form, SigningAlgorithm=algorithm
        )
        return bytes(answer["Signature"])

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
        except ImportError as error:
            raise SigningKeyError("botocore is not installed", hint="pip install 'strake[aws]'") from error
        try:
            with self._lock:
                if self._client is None:
                    self._client = _client(self._reference)
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except NoRegionError as error:
            raise SigningKeyError(
                "no region is known", hint="name the key by its ARN, or set AWS_REGION"
            ) from error
        except (BotoCoreError, ClientError) as error:
            words = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise SigningKeyError(words, hint=_RIGHTS) from error
        return answer


def _client(reference: AWSKey) -> Any:
    """Return botocore's client."""
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        "kms",
        # botocore itself reads AWS_DEFAULT_REGION alone, which some of AWS's webhooks do not set.
        region_name=reference.region or os.environ.get("AWS_REGION") or None,
        endpoint_url=f"https://{reference.endpoint}" if reference.endpoint else None,
        config=Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 4}),
    )
