"""Keys to sign and verify with: which files are read, and what is said of the others."""

from __future__ import annotations

import base64
import functools
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from nacl.secret import SecretBox

from strake_oci.errors import SigningKeyError
from strake_oci.signatures.keys import SigningKey, VerificationKey
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

DATA = b"what is signed"
PKCS8, TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = serialization.NoEncryption()
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


@functools.cache
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def pem(key, form=PKCS8, encryption=PLAIN) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def cosign_file(
    der: bytes,
    password: bytes = PASSWORD,
    *,
    label: str = "ENCRYPTED COSIGN PRIVATE KEY",
    costs: tuple[int, int, int] = (1 << 15, 8, 1),
    **changes: object,
) -> bytes:
    """Encrypt a key as cosign does."""
    salt, (n, r, p) = b"s" * 32, costs
    opener = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=1 << 28, dklen=32)
    box = SecretBox(opener).encrypt(der)

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    document = {
        "kdf": {"name": "scrypt", "params": {"N": n, "r": r, "p": p}, "salt": text(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": text(box.nonce)},
        "ciphertext": text(box.ciphertext),
    } | changes
    body = base64.b64encode(json.dumps(document).encode()).decode()
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def der(key) -> bytes:
    return key.private_bytes(serialization.Encoding.DER, PKCS8, PLAIN)


def test_a_key_of_cosign_is_opened_with_its_password():
    key = SigningKey.load(KEY, PASSWORD)
    assert key.public.pem() == PUBLIC
    assert VerificationKey.load(PUBLIC).verifies(key.sign(DATA), DATA)


# Made where they are tested: every process that collects tests would spend three seconds on them.
FILES = {
    "cosign before version 2": lambda: (cosign_file(der(P256)), PASSWORD),
    "cosign's lowest costs": lambda: (
        cosign_file(der(P256), label="ENCRYPTED SIGSTORE PRIVATE KEY"),
        PASSWORD,
    ),
    "cosign's highest costs": lambda: (cosign_file(der(P256), costs=(1 << 17, 8, 1)), PASSWORD),
    "cosign with an empty password": lambda: (cosign_file(der(P256), b""), b""),
    "cosign, RSA": lambda: (cosign_file(der(rsa_key())), PASSWORD),
    "cosign, Ed25519": lambda: (cosign_file(der(ED25519)), PASSWORD),
    "PKCS #8, P-256": lambda: (pem(P256), b""),
    "PKCS #8, RSA": lambda: (pem(rsa_key()), b""),
    "PKCS #8, Ed25519": lambda: (pem(ED25519), b""),
    "PKCS #8 and a password that it has not": lambda: (pem(P256), b"unused"),
    "PKCS #8, encrypted": lambda: (
        pem(P256, PKCS8, serialization.BestAvailableEncryption(b"right-one")),
        b"right-one",
    ),
    "OpenSSL, EC": lambda: (pem(P256, TRADITIONAL), b""),
    "OpenSSL, RSA": lambda: (pem(rsa_key(), TRADITIONAL), b""),
    "a comment before the key": lambda: (b"# for team a\n" + pem(P256), b""),
    "lines that end as in DOS": lambda: (pem(P256).replace(b"\n", b"\r\n"), b""),
}


@pytest.mark.parametrize("name", FILES)
def test_what_signs_is_verified_by_its_public_key_alone(name):
    file, password = FILES[name]()
    key = SigningKey.load(file, password)
    signature = key.sign(DATA)
    public = VerificationKey.load(key.public.pem())
    assert public.hint == key.public.hint
    assert public.verifies(signature, DATA)
    assert not public.verifies(signature, DATA + b".")
    assert not public.verifies(signature[:-1], DATA)
    assert not public.verifies(b"", DATA)
    assert not VerificationKey.load(PUBLIC).verifies(signature, DATA)


REFUSED = {
    "another password": lambda: (KEY, b"wrong-one", "the password is another one"),
    "no password": lambda: (KEY, b"", "it is encrypted, and there is no password"),
    "another password of PKCS #8": lambda: (
        pem(P256, PKCS8, serialization.BestAvailableEncryption(b"right-one")),
        b"wrong-one",
        "its password is another one",
    ),
    "no password of PKCS #8": lambda: (
        pem(P256, PKCS8, serialization.BestAvailableEncryption(b"right-one")),
        b"",
        "password",
    ),
    "a public key": lambda: (PUBLIC, b"", "'PUBLIC KEY'"),
    "a certificate": lambda: (
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"",
        "'CERTIFICATE'",
    ),
    "nothing": lambda: (b"", b"", "no PEM file"),
    "a key of OpenSSH": lambda: (
        ED25519.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, PLAIN),
        b"",
        "'OPENSSH PRIVATE KEY'",
    ),
    "P-384": lambda: (pem(ec.generate_private_key(ec.SECP384R1())), b"", "ECDSA on secp384r1"),
    "P-384 of cosign": lambda: (
        cosign_file(der(ec.generate_private_key(ec.SECP384R1()))),
        PASSWORD,
        "secp384r1",
    ),
    "RSA of 1024 bits": lambda: (pem(rsa.generate_private_key(65537, 1024)), b"", "RSA of 1024 bits"),
    "DSA": lambda: (pem(dsa.generate_private_key(2048)), b"", "a kind that is not known"),
    "half a file": lambda: (KEY[: len(KEY) // 2], PASSWORD, "damaged"),
    "half a key": lambda: (pem(P256)[:60] + pem(P256)[90:], b"", "damaged"),
    "no JSON": lambda: (
        b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
        b"",
        "not valid",
    ),
    "costs without measure": lambda: (
        cosign_file(
            der(P256), kdf={"name": "scrypt", "params": {"N": 1 << 30, "r": 8, "p": 1}, "salt": "c2FsdA=="}
        ),
        PASSWORD,
        "in a way that cosign does not use",
    ),
    "another cipher": lambda: (
        cosign_file(der(P256), cipher={"name": "rot13", "nonce": "AAAA"}),
        PASSWORD,
        "does not use",
    ),
    "a short nonce": lambda: (
        cosign_file(der(P256), cipher={"name": "nacl/secretbox", "nonce": "AAAA"}),
        PASSWORD,
        "cannot be decrypted",
    ),
    "a ciphertext that is none": lambda: (cosign_file(der(P256), ciphertext="???"), PASSWORD, "not valid"),
    "something else inside": lambda: (cosign_file(b"no key"), PASSWORD, "damaged"),
    "a file without end": lambda: (b"-----BEGIN PRIVATE KEY-----\n" + b"A" * (1 << 20), b"", "no PEM file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_key_that_cannot_be_used_is_refused_with_the_reason_and_without_the_key(name):
    file, password, reason = REFUSED[name]()
    with pytest.raises(SigningKeyError) as caught:
        SigningKey.load(file, password)
    assert reason in str(caught.value)
    assert not password or password.decode() not in str(caught.value)


def test_private_and_other_files_are_no_public_key():
    for file, reason in (
        (pem(P256), "'PRIVATE KEY'"),
        (b"x", "no PEM file"),
        (PUBLIC[:60] + PUBLIC[80:], "read"),
    ):
        with pytest.raises(SigningKeyError) as caught:
            VerificationKey.load(file)
        assert reason in str(caught.value)
