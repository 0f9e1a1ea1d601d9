"""Where the build context comes from."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying
from strake_api.spec.buckets.object import AzureBlob, BucketObject, GSObject, S3Object
from strake_api.spec.git import GitRepository
from strake_api.spec.http_archive import HTTPArchive
from strake_api.spec.named import LocalReference
from strake_api.spec.oci_artifact import OCIArtifact

INLINE_LIMIT = 262144
"""Characters of an inline context: with what JSON adds it fits into the ConfigMap that carries it."""

ONE_SOURCE: Rule[Source] = Rule(
    "[has(self.git), has(self.http), has(self.oci), has(self.s3), has(self.gs), has(self.azure),"
    " has(self.configMap), has(self.inline)].filter(given, given).size() == 1",
    "source needs exactly one of git, http, oci, s3, gs, azure, configMap or inline",
    lambda source: (
        sum(
            given is not None
            for given in (
                source.git,
                source.http,
                source.oci,
                source.s3,
                source.gs,
                source.azure,
                source.config_map,
                source.inline,
            )
        )
        == 1
    ),
)
INLINE_PATHS: Rule[Source] = Rule(
    "!has(self.inline) || self.inline.all(path, path.size() > 0 && !path.startsWith('/')"
    " && !path.matches('(^|/)[.][.]?(/|$)|//|/$'))",
    "each key of source.inline is the relative path of a file, without '.', '..' or empty parts",
    lambda source: all(
        all(part not in {"", ".", ".."} for part in path.split("/")) for path in source.inline or {}
    ),
)
INLINE_SIZE: Rule[Source] = Rule(
    "!has(self.inline) || self.inline.map(path, self.inline[path].size()).sum() <= 262144",
    "source.inline is for small contexts, of at most 262144 characters together: put a larger one into a git "
    "repository (source.git) or a ConfigMap (source.configMap, up to 1 MiB)",
    lambda source: source.inline_size <= INLINE_LIMIT,
)


class Source(Document):
    """Where the build context comes from: exactly one of its fields is set."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_SOURCE, INLINE_PATHS, INLINE_SIZE))

    git: GitRepository | None = None
    http: HTTPArchive | None = None
    oci: OCIArtifact | None = None
    s3: S3Object | None = None
    gs: GSObject | None = None
    azure: AzureBlob | None = None
    config_map: LocalReference | None = None
    """A ConfigMap of the same namespace: each key becomes a file."""
    inline: (
        Annotated[
            dict[str, Annotated[str, Field(max_length=INLINE_LIMIT)]], Field(min_length=1, max_length=64)
        ]
        | None
    ) = None
    """A whole small context, of at most 262144 characters: path → content. For more use git or configMap."""

    @property
    def in_bucket(self) -> BucketObject | None:
        """The object of a bucket that it is, if it is one."""
        return self.s3 or self.gs or self.azure

    @property
    def inline_size(self) -> int:
        """The characters of all inline files together."""
        return sum(map(len, (self.inline or {}).values()))

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, ONE_SOURCE, INLINE_PATHS, INLINE_SIZE)
