"""Forms in which services give public keys and signatures, turned into those of cosign: PEM and DER."""

from __future__ import annotations

import base64
import textwrap
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ED25519: Final = bytes.fromhex("302a300506032b6570032100")
"""What comes before a raw key of Ed25519 in DER (RFC 8410, section 4)."""
_COORDINATE: Final = 32
_MAX_MODULUS: Final = 1024


def pem_of_der(der: bytes) -> bytes:
    """Return a public key (SubjectPublicKeyInfo) in PEM."""
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(("-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", "")).encode()


def pem_of_ed25519(raw: bytes) -> bytes:
    """Return a key of Ed25519 in PEM."""
    return pem_of_der(_ED25519 + raw)


def pem_of_point(x: bytes, y: bytes) -> bytes:
    """Return a key on P-256 in PEM.

    Raises:
        ValueError: The point is not on the curve.
    """
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pem_of_modulus(modulus: bytes, exponent: bytes) -> bytes:
    """Return a key of RSA in PEM.

    Raises:
        ValueError: It is none.
    """
    if len(modulus) > _MAX_MODULUS:
        raise ValueError("a modulus that is too long")
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
    return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def der_of_halves(signature: bytes) -> bytes:
    """Return a signature of ECDSA on P-256, given as r and s of 32 bytes each (RFC 7518, 3.4), in DER.

    Raises:
        ValueError: It has another length.
    """
    if len(signature) != 2 * _COORDINATE:
        raise ValueError("a signature that is not of P-256")
    r, s = signature[:_COORDINATE], signature[_COORDINATE:]
    return encode_dss_signature(int.from_bytes(r), int.from_bytes(s))


def of_base64url(text: str) -> bytes:
    """Return what base64url without padding stands for (RFC 7515, section 2).

    Raises:
        ValueError: It is none.
    """
    standard = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
