import hashlib

import pytest

from strake_oci.errors import InvalidDigestError
from strake_oci.spec.digest import Digest, Hasher


def test_digest_of_bytes_is_the_algorithms():
    assert str(Digest.sha256(b"x")) == "sha256:" + hashlib.sha256(b"x").hexdigest()
    sha512 = Digest("sha512", "0" * 128)
    assert str(sha512.of(b"x")) == "sha512:" + hashlib.sha512(b"x").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha1:" + "a" * 40,
        "sha256:../" + "a" * 61,
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "\u0661" * 64,
    ],
)
def test_what_is_no_digest(text):
    with pytest.raises(InvalidDigestError):
        Digest.parse(text)


def test_hasher_counts_bytes_of_every_kind_of_buffer():
    hasher = Hasher()
    for piece in (b"ab", bytearray(b"cd"), memoryview(b"ef")):
        hasher.update(piece)
    assert hasher.size == 6
    assert hasher.digest() == Digest.sha256(b"abcdef")


def test_hasher_knows_sha512():
    digest = Digest.parse("sha512:" + hashlib.sha512(b"x").hexdigest())
    hasher = digest.hasher()
    hasher.update(b"x")
    assert hasher.digest() == digest


def test_short_form():
    assert Digest.sha256(b"").short == "e3b0c44298fc"
