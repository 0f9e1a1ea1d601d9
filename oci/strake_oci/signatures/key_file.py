"""cosign's file of a private key: PKCS #8, encrypted with a password.

A PEM block around a JSON document: the password becomes a key by scrypt, which opens NaCl's secretbox
(XSalsa20 and Poly1305). Source: go-securesystemslib, package `encrypted`; cosign, `pkg/cosign/keys.go`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Final

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from pydantic import BeforeValidator

from strake_oci.errors import InvalidDocumentError, SigningKeyError, SizeExceededError
from strake_oci.spec.wire import WireModel, decode

LABELS: Final = frozenset({"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"})
"""What PEM calls such a file: as cosign writes it, and as it did before version 2."""
_COSTS: Final = frozenset({(1 << 15, 8, 1), (1 << 16, 8, 1), (1 << 17, 8, 1)})
"""N, r, p of scrypt. Other ones are refused as by cosign: a file must not choose how much memory is taken."""
_SCRYPT_MEMORY: Final = 160 << 20
_LIMIT: Final = 64 << 10


def _from_base64(value: object) -> object:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except binascii.Error as error:
        raise ValueError("no base64") from error


_Data = Annotated[bytes, BeforeValidator(_from_base64)]


class _Costs(WireModel):
    N: int
    r: int
    p: int


class _Derivation(WireModel):
    name: str
    params: _Costs
    salt: _Data


class _Cipher(WireModel):
    name: str
    nonce: _Data


class _KeyFile(WireModel):
    kdf: _Derivation
    cipher: _Cipher
    ciphertext: _Data


def decrypted(content: bytes, password: bytes) -> bytes:
    """Return the key in a file, as PKCS #8 in DER.

    Args:
        content: What is inside the PEM block.
        password: As the key's maker typed it; may be empty.

    Raises:
        SigningKeyError: The password is another one, or the file is none of cosign's.
    """
    try:
        file = decode(_KeyFile, content, what="signing key", limit=_LIMIT)
    except (InvalidDocumentError, SizeExceededError) as error:
        raise SigningKeyError(error.message, hint="make one with `cosign generate-key-pair`") from None
    costs = file.kdf.params
    known = (file.kdf.name, file.cipher.name) == ("scrypt", "nacl/secretbox")
    if not known or (costs.N, costs.r, costs.p) not in _COSTS:
        raise SigningKeyError(
            "the signing key is encrypted in a way that cosign does not use",
            hint="make one with `cosign generate-key-pair`",
        )
    opener = hashlib.scrypt(
        password,
        salt=file.kdf.salt,
        n=costs.N,
        r=costs.r,
        p=costs.p,
        maxmem=_SCRYPT_MEMORY,
        dklen=SecretBox.KEY_SIZE,
    )
    try:
        return SecretBox(opener).decrypt(file.ciphertext, file.cipher.nonce)
    except (CryptoError, ValueError):
        why = "the password is another one" if password else "it is encrypted, and there is no password"
        raise SigningKeyError(f"the signing key cannot be decrypted: {why}") from None
