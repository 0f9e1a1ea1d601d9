"""Image references: how people name images, made unambiguous.

The grammar is that of github.com/distribution/reference, with Docker's normalisation: `alpine` means
`docker.io/library/alpine`. A reference may carry a tag and a digest; the digest then decides and the tag is
kept for people.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Self

from strake_oci.errors import InvalidDigestError, InvalidReferenceError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_OFFICIAL: Final = "library"
_MAX_PATH: Final = 255
_SHOWN: Final = 120

_COMPONENT: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY: Final = re.compile(
    rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?", re.ASCII
)
_PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*", re.ASCII
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A named collection of images in a registry.

    Attributes:
        registry: Host, with `:port` where one was given: "docker.io", "localhost:5000", "[::1]:5000".
        path: The name within the registry: "library/alpine".

    Raises:
        InvalidReferenceError: A part breaks the grammar.
    """

    registry: str
    path: str

    def __post_init__(self) -> None:
        if not _REGISTRY.fullmatch(self.registry):
            raise InvalidReferenceError(f"{self.registry[:_SHOWN]!r} is not a registry host")
        if len(self.path) > _MAX_PATH:
            raise InvalidReferenceError(
                f"repository name of {len(self.path)} characters; at most {_MAX_PATH} are allowed"
            )
        if not _PATH.fullmatch(self.path):
            hint = "repository names are lower-case" if _PATH.fullmatch(self.path.lower()) else ""
            raise InvalidReferenceError(f"{self.path[:_SHOWN]!r} is not a repository name", hint=hint)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a repository name without tag and digest, normalised as Docker does.

        Raises:
            InvalidReferenceError: Not a repository name.
        """
        if _IDENTIFIER.fullmatch(text):
            raise InvalidReferenceError(
                f"{text!r} is an image ID, not a repository name", hint="name the repository"
            )
        first, slash, rest = text.partition("/")
        # A first component is a host only if it could not be part of a path: the rule every client shares.
        if slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower()):
            registry, path = first, rest
        else:
            registry, path = DEFAULT_REGISTRY, text
        if registry == "index.docker.io":
            registry = DEFAULT_REGISTRY
        if registry == DEFAULT_REGISTRY and "/" not in path:
            path = f"{_OFFICIAL}/{path}"
        return cls(registry, path)

    def tag(self, tag: str) -> Reference:
        """Return the reference to a tag of this repository."""
        return Reference(self, tag=tag)

    def at(self, digest: Digest) -> Reference:
        """Return the reference to a digest in this repository."""
        return Reference(self, digest=digest)

    @property
    def familiar(self) -> str:
        """The short form that people type: `alpine` for docker.io/library/alpine."""
        if self.registry != DEFAULT_REGISTRY:
            return str(self)
        name = self.path.removeprefix(f"{_OFFICIAL}/")
        return self.path if "/" in name else name

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository with a tag, a digest, both, or neither.

    Attributes:
        repository: Where the image lives.
        tag: A name that may move, or None.
        digest: The content itself, or None.
    """

    repository: Repository
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise InvalidReferenceError(
                f"{self.tag[:_SHOWN]!r} is not a tag",
                hint="a tag has at most 128 of A-Z a-z 0-9 _ . - and does not start with . or -",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[registry/]path[:tag][@digest]`, normalised as Docker does.

        No tag is made up where there is none; see `with_default_tag`.

        Raises:
            InvalidReferenceError: Not an image reference.
        """
        name, at, digest_text = text.partition("@")
        digest = None
        if at:
            try:
                digest = Digest.parse(digest_text)
            except InvalidDigestError as error:
                raise InvalidReferenceError(
                    f"{text[:_SHOWN]!r} is not an image reference: {error.message}"
                ) from error
        tag: str | None = None
        head, colon, last = name.rpartition(":")
        # "localhost:5000" alone is the image "localhost" with the tag "5000", as in Docker.
        if colon and "/" not in last:
            name, tag = head, last
        try:
            return cls(Repository.parse(name), tag, digest)
        except InvalidReferenceError as error:
            raise InvalidReferenceError(
                f"{text[:_SHOWN]!r} is not an image reference: {error.message}", hint=error.hint
            ) from error

    def with_default_tag(self) -> Reference:
        """Return this reference, with the tag `latest` if it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    @property
    def identifier(self) -> str:
        """What to ask a registry for: the digest if there is one, else the tag, else `latest`."""
        return str(self.digest) if self.digest else self.tag or DEFAULT_TAG

    @property
    def familiar(self) -> str:
        """The short form that people type."""
        return self._suffixed(self.repository.familiar)

    def _suffixed(self, name: str) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{name}{tag}{digest}"

    def __str__(self) -> str:
        return self._suffixed(str(self.repository))
