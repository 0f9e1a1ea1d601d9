"""What a build may ask of registries through the gateway: a decision over method and path, without I/O.

Whatever a step can reach it can send, so the gateway grants no more than what the build's image could do
anyway:

- reads: any repository, with the pull credentials; the build's own also with the push credentials
- writes: the build's destinations by their tags and by digest, and its cache's repository by cache keys
- mounts: from a repository of which a manifest was read through this gateway with its own credentials
- attestations: of images that were pushed to the destinations through this gateway (`referring`)
- signatures: likewise, and of attestations of such images

Deleting is for upload sessions alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from typing import Final

from strake_api.values.destinations import sample, tag_of, tag_pattern
from strake_builder.gateway.errors import ForbiddenError, MalformedError
from strake_oci.errors import OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Reference, Repository

_TARGET: Final = re.compile(
    r"/(?P<registry>[^/]+)/v2/(?P<repository>.+?)/"
    r"(?P<kind>manifests|blobs|tags|referrers|_signatures|_attestations)/(?P<name>[\x21\x22\x24-\x3e\x40-\x7e]*)"
    r"(?:\?(?P<query>[\x21\x22\x24-\x7e]*))?",
    re.ASCII,
)
_LONGEST: Final = 8192
_UPLOADS: Final = "uploads/"
_DIGEST: Final = re.compile(r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})", re.ASCII)
_CACHE_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FALLBACK: Final = re.compile(r"sha256-[0-9a-f]{64}", re.ASCII)
"""The tag that lists referrers (distribution-spec 1.1, "Referrers Tag Schema")."""
_READS: Final = frozenset({"GET", "HEAD"})


class Kind(Enum):
    """What a request is about."""

    MANIFEST = "manifests"
    BLOB = "blobs"
    UPLOAD = "uploads"
    """An upload session, begun or under way."""
    TAGS = "tags"
    REFERRERS = "referrers"
    SIGNATURES = "_signatures"
    """Nothing of the distribution API: what this gateway is asked to sign. No part of a repository's name
    begins so.
    """
    ATTESTATIONS = "_attestations"
    """Likewise, of attestations whose statements are to be signed."""


_READABLE: Final = frozenset({Kind.MANIFEST, Kind.BLOB, Kind.TAGS, Kind.REFERRERS})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in terms of the distribution API.

    Attributes:
        method: "GET".
        repository: of the registry that is meant.
        kind: what it is about.
        name: tag, digest, or what the gateway called an upload session; empty to begin one, and to ask
            whether there is a key to sign with.
        query: what follows the path, still encoded.
    """

    method: str
    repository: Repository
    kind: Kind
    name: str
    query: str = ""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.method in _READS and self.kind in _READABLE

    @property
    def index(self) -> Digest | None:
        """The index that is to be attested in place of its image, of a request to sign an attestation.

        Raises:
            MalformedError: it is no digest.
        """
        if not self.query:
            return None
        name, _, value = self.query.partition("=")
        if name != "index" or _DIGEST.fullmatch(value) is None:
            raise MalformedError("only an index can be attested in place of an image")
        return Digest.parse(value)

    @property
    def tail(self) -> str:
        """What follows "/v2/<name>/" at the registry, without the query."""
        return f"blobs/uploads/{self.name}" if self.kind is Kind.UPLOAD else f"{self.kind.value}/{self.name}"


def is_list_of_referrers(name: str) -> bool:
    """Say whether a tag is one that lists what refers to an image."""
    return _FALLBACK.fullmatch(name) is not None


def parse_target(method: str, target: str) -> Asked:
    """Read a request's line: `/registry.example/v2/team/app/manifests/1`.

    Raises:
        MalformedError: it is nothing of the distribution API.
    """
    found = _TARGET.fullmatch(target) if len(target) <= _LONGEST else None
    if found is None:
        raise MalformedError("the path is none of the distribution API")
    try:
        repository = Repository(found["registry"], found["repository"])
    except OCIError as error:
        raise MalformedError(error.message) from error
    name, kind = found["name"], Kind(found["kind"])
    if kind is Kind.BLOB and name.startswith(_UPLOADS):
        kind, name = Kind.UPLOAD, name.removeprefix(_UPLOADS)
    if "/" in name or ".." in name or "%" in name:
        raise MalformedError("the path has a name that no registry has")
    return Asked(method, repository, kind, name, found["query"] or "")


@dataclass(frozen=True, slots=True)
class Policy:
    """What one build may do.

    Attributes:
        tags: patterns of the destinations' tags, by repository.
        cache: the repository of the step cache.
        attests: whether the build makes attestations.
    """

    tags: Mapping[Repository, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    cache: Repository | None = None
    attests: bool = False

    @classmethod
    def of(
        cls, destinations: Iterable[str], cache: str | None, *, attests: bool = False, tags: bool = True
    ) -> Policy:
        """Return the policy of a request. What fills a tag's fields, only the builder knows in the end.

        Args:
            destinations: with fields.
            cache: the repository of the step cache.
            attests: whether the build makes attestations.
            tags: whether it moves tags; else it pushes by digest alone.

        Raises:
            OCIError: a name is no reference.
        """
        patterns: dict[Repository, tuple[re.Pattern[str], ...]] = {}
        for text in destinations:
            repository = Reference.parse(sample(text)).repository
            own = (tag_pattern(tag_of(text)),) if tags else ()
            patterns[repository] = (*patterns.get(repository, ()), *own)
        return cls(patterns, Reference.parse(cache).repository if cache is not None else None, attests)

    def is_own(self, repository: Repository) -> bool:
        """Say whether a repository is one that the build writes to."""
        return repository in self.tags or repository == self.cache

    def check(self, asked: Asked) -> None:
        """Refuse what the build may not do.

        Raises:
            ForbiddenError: with what it may.
        """
        if asked.is_read:
            return
        if not self.is_own(asked.repository):
            raise ForbiddenError(f"this build does not push to {asked.repository}")
        match asked.kind, asked.method:
            case Kind.UPLOAD, "POST" if not asked.name:
                return
            case Kind.UPLOAD, "GET" | "PATCH" | "PUT" | "DELETE" if asked.name:
                return
            case Kind.MANIFEST, "PUT" if self._may_be_pushed(asked):
                return
            case Kind.MANIFEST, "PUT":
                raise ForbiddenError(f"this build does not push {asked.repository}:{asked.name}")
            case ((Kind.SIGNATURES | Kind.ATTESTATIONS), _) if asked.repository not in self.tags:
                raise ForbiddenError(f"this build does not sign images of {asked.repository}")
            case ((Kind.SIGNATURES | Kind.ATTESTATIONS), _) if self._may_be_signed(asked):
                return
            case _:
                pass
        raise ForbiddenError(f"a build has no use for {asked.method} of {asked.kind.value}")

    def _may_be_signed(self, asked: Asked) -> bool:
        if asked.kind is Kind.SIGNATURES and asked.method == "GET":
            return not asked.name
        is_known = asked.kind is Kind.SIGNATURES or self.attests
        return is_known and asked.method == "POST" and _DIGEST.fullmatch(asked.name) is not None

    def _may_be_pushed(self, asked: Asked) -> bool:
        if _DIGEST.fullmatch(asked.name):
            return True
        if is_list_of_referrers(asked.name):
            return self.attests and asked.repository in self.tags
        if any(pattern.fullmatch(asked.name) for pattern in self.tags.get(asked.repository, ())):
            return True
        return asked.repository == self.cache and _CACHE_KEY.fullmatch(asked.name) is not None
