"""Keys: what signs, and what verifies.

ECDSA on P-256 (what `cosign generate-key-pair` makes), RSA with PKCS #1 v1.5 of 2,048 to 4,096 bits, both
over SHA-256, and Ed25519 over the message itself: what `cosign verify --key` takes without a further word.
"""

from __future__ import annotations

import base64
import hashlib
import re
from enum import Enum, unique
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    load_pem_public_key,
)

from strake_oci.errors import SigningKeyError
from strake_oci.signatures import key_file

_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_PLAIN: Final = frozenset({"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"})
_ENCRYPTED: Final = "ENCRYPTED PRIVATE KEY"
_BLOCK: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----\s*([A-Za-z0-9+/=\s]+)-----END [A-Z0-9 ]+-----")
_LIMIT: Final = 64 << 10
_RSA_BITS: Final = (2048, 4096)
_SHA256: Final = hashes.SHA256()

_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@unique
class KeyKind(Enum):
    """Which algorithm a key is for; RSA is PKCS #1 v1.5, and it and ECDSA are over SHA-256."""

    ECDSA = "ecdsa"
    RSA = "rsa"
    ED25519 = "ed25519"


class VerificationKey:
    """A public key.

    Attributes:
        hint: Its name in a bundle: SHA-256 of the key in DER, in base64, as cosign names it.
    """

    def __init__(self, key: _Public) -> None:
        self._key = key
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.hint = base64.b64encode(hashlib.sha256(der).digest()).decode()

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Read a file such as `cosign.pub`.

        Raises:
            SigningKeyError: It holds no public key of a kind that is known.
        """
        label = _label(pem)
        if label is None or not label.endswith("PUBLIC KEY"):
            what = f"holds {_article(label)}" if label else "is no PEM file"
            raise SigningKeyError(f"the public key {what}", hint="give the file cosign.pub")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SigningKeyError("the public key cannot be read", hint="give the file cosign.pub") from None
        return cls(_known_public(key))

    @property
    def kind(self) -> KeyKind:
        """Which algorithm it is for."""
        match self._key:
            case ec.EllipticCurvePublicKey():
                return KeyKind.ECDSA
            case rsa.RSAPublicKey():
                return KeyKind.RSA
            case ed25519.Ed25519PublicKey():
                return KeyKind.ED25519

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Tell whether the private key of this one signed some data."""
        try:
            match self._key:
                case ec.EllipticCurvePublicKey():
                    self._key.verify(signature, data, ec.ECDSA(_SHA256))
                case rsa.RSAPublicKey():
                    self._key.verify(signature, data, padding.PKCS1v15(), _SHA256)
                case ed25519.Ed25519PublicKey():
                    self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """Return it as cosign writes `cosign.pub`."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class PrivateKey(Protocol):
    """What signs: a key at hand (`SigningKey`), or one in a KMS. Thread-safe."""

    @property
    def public(self) -> VerificationKey:
        """What verifies its signatures.

        Raises:
            SigningKeyError: It cannot be had.
        """
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some data.

        Raises:
            SigningKeyError: The key cannot be used.
        """
        ...

    def check(self) -> None:
        """Make sure that it can be used.

        Raises:
            SigningKeyError: It cannot.
        """
        ...

    def stop(self, reason: Exception) -> None:
        """End what is under way, and let nothing more begin."""
        ...


class SigningKey:
    """A private key at hand, a `PrivateKey`. Nothing shows what is in it.

    Attributes:
        public: Verifies what it signs.
    """

    def __init__(self, key: _Private) -> None:
        self._key = key
        self.public = VerificationKey(_known_public(key.public_key()))

    @classmethod
    def load(cls, pem: bytes, password: bytes = b"") -> Self:
        """Read a file such as `cosign.key`, or a private key in PEM as OpenSSL writes it.

        Args:
            pem: The file.
            password: What it is encrypted with. For a file that is not encrypted it means nothing.

        Raises:
            SigningKeyError: The password is another one, or the file holds no key of a kind that is known.
        """
        label = _label(pem)
        try:
            if label in key_file.LABELS:
                key = load_der_private_key(key_file.decrypted(_content(pem), password), None)
            elif label in _PLAIN:
                key = load_pem_private_key(pem, None)
            elif label == _ENCRYPTED:
                key = load_pem_private_key(pem, password or None)
            else:
                what = f"holds {_article(label)}" if label else "is no PEM file"
                raise SigningKeyError(
                    f"the signing key {what}",
                    hint="give cosign.key of `cosign generate-key-pair`, or a private key in PKCS #8",
                )
        except (ValueError, TypeError, UnsupportedAlgorithm):
            why = "it is damaged, or its password is another one" if label == _ENCRYPTED else "it is damaged"
            raise SigningKeyError(f"the signing key cannot be read: {why}") from None
        if not isinstance(key, _Private):
            raise SigningKeyError("the signing key is of a kind that is not known", hint=_KINDS)
        return cls(key)

    def check(self) -> None:
        """Do nothing: it was read."""

    def stop(self, reason: Exception) -> None:
        """Do nothing: no signature takes long."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some data."""
        match self._key:
            case ec.EllipticCurvePrivateKey():
                return self._key.sign(data, ec.ECDSA(_SHA256))
            case rsa.RSAPrivateKey():
                return self._key.sign(data, padding.PKCS1v15(), _SHA256)
            case ed25519.Ed25519PrivateKey():
                return self._key.sign(data)


_KINDS: Final = "use ECDSA on P-256, Ed25519, or RSA of 2048 to 4096 bits"


def _known_public(key: object) -> _Public:
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
            return key
        case rsa.RSAPublicKey() if _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
            return key
        case ed25519.Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey():
            kind = f"ECDSA on {key.curve.name}"
        case rsa.RSAPublicKey():
            kind = f"RSA of {key.key_size} bits"
        case _:
            kind = "of another kind"
    raise SigningKeyError(f"the key is {kind}, which is not supported", hint=_KINDS)


def _label(pem: bytes) -> str | None:
    if len(pem) > _LIMIT:
        return None
    found = _LABEL.search(pem)
    return found[1].decode() if found else None


def _content(pem: bytes) -> bytes:
    found = _BLOCK.search(pem)
    if found is None:
        raise ValueError("no end of the PEM block")
    return base64.b64decode(b"".join(found[1].split()), validate=True)


def _article(label: str | None) -> str:
    return f"a {label!r} block"
