"""Digests: the names of content, and the only thing that makes a registry's answer trustworthy.

A digest is checked when it is made, so that a `Digest` can be put into a path or a URL without a second look.
Source: OCI image-spec 1.1, descriptor.md, "Digests".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NewType, Self, TypeAlias

from strake_oci.errors import InvalidDigestError

BytesLike: TypeAlias = bytes | bytearray | memoryview

_ENCODED: Final = {
    "sha256": re.compile(r"[a-f0-9]{64}", re.ASCII),
    "sha512": re.compile(r"[a-f0-9]{128}", re.ASCII),
}
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some bytes: `sha256:…` or `sha512:…`.

    Attributes:
        algorithm: "sha256" or "sha512".
        encoded: The hash in lower-case hexadecimal digits.

    Raises:
        InvalidDigestError: Unknown algorithm, or digits that do not fit it.
    """

    algorithm: str
    encoded: str

    def __post_init__(self) -> None:
        pattern = _ENCODED.get(self.algorithm)
        if pattern is None:
            raise InvalidDigestError(
                f"digest algorithm {self.algorithm[:_SHOWN]!r} is not supported", hint="use sha256 or sha512"
            )
        if not pattern.fullmatch(self.encoded):
            raise InvalidDigestError(
                f"{self.encoded[:_SHOWN]!r} is not a {self.algorithm} in lower-case hexadecimal"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `algorithm:encoded`.

        Raises:
            InvalidDigestError: The text is not a supported digest.
        """
        algorithm, colon, encoded = text.partition(":")
        if not colon:
            raise InvalidDigestError(
                f"{text[:_SHOWN]!r} is not a digest", hint="a digest looks like sha256:4bf5…"
            )
        return cls(algorithm, encoded)

    @classmethod
    def sha256(cls, data: BytesLike) -> Self:
        """Return the SHA-256 digest of the bytes."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    def hasher(self) -> Hasher:
        """Return a fresh hasher of this digest's algorithm."""
        return Hasher(self.algorithm)

    def of(self, data: BytesLike) -> Digest:
        """Return the digest of other bytes by the same algorithm."""
        return Digest(self.algorithm, hashlib.new(self.algorithm, data).hexdigest())

    @property
    def short(self) -> str:
        """The first twelve digits, enough for people."""
        return self.encoded[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


DiffID = NewType("DiffID", Digest)
"""The digest of a layer's *uncompressed* tar stream (image-spec config.md, "Layer DiffID").

A type of its own because confusing it with the digest of the compressed blob is the classic mistake of this
field. Make one with `DiffID(digest)`.
"""


class Hasher:
    """Counts and hashes bytes as they flow past. Not thread-safe.

    Args:
        algorithm: "sha256" or "sha512".

    Attributes:
        size: Bytes seen so far.
    """

    __slots__ = ("_hash", "algorithm", "size")

    def __init__(self, algorithm: str = "sha256") -> None:
        if algorithm not in _ENCODED:
            raise InvalidDigestError(f"digest algorithm {algorithm[:_SHOWN]!r} is not supported")
        self.algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def update(self, data: BytesLike) -> None:
        """Take in the next bytes. Releases the interpreter lock for pieces of 2 KiB and more."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += view.nbytes

    def digest(self) -> Digest:
        """Return the digest of everything seen so far."""
        return Digest(self.algorithm, self._hash.hexdigest())
