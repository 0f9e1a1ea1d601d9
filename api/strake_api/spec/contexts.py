"""Named contexts: files and images that a build uses in place of stages and images of some names."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, checked, keyed, obeying
from strake_api.spec.buckets.object import AzureBlob, BucketObject, GSObject, S3Object
from strake_api.spec.git import GitRepository
from strake_api.spec.http_archive import HTTPArchive
from strake_api.spec.oci_artifact import OCIArtifact

ONE_KIND: Rule[NamedContext] = Rule(
    "[has(self.git), has(self.http), has(self.oci), has(self.s3), has(self.gs), has(self.azure),"
    " has(self.image)].filter(given, given).size() == 1",
    "a named context needs exactly one of git, http, oci, s3, gs, azure or image",
    lambda context: (
        sum(
            given is not None
            for given in (
                context.git,
                context.http,
                context.oci,
                context.s3,
                context.gs,
                context.azure,
                context.image,
            )
        )
        == 1
    ),
)
_NAME = r"^[a-z0-9][a-z0-9._/:-]*$"
A_CONTEXT_NAME: Rule[str] = Rule(
    f"self.matches('{_NAME}')",
    "contexts[].name is a name as FROM has one: a stage's or an image's, in lower case",
    lambda text: re.fullmatch(_NAME, text, re.ASCII) is not None,
)


class NamedContext(Document):
    """What stands in for the stages and the images of a name: exactly one field beside it."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_KIND))

    name: Annotated[str, Field(max_length=255), *checked(A_CONTEXT_NAME)]
    """As FROM or COPY --from has it; `alpine` is docker.io/library/alpine:latest, too."""
    git: GitRepository | None = None
    http: HTTPArchive | None = None
    oci: OCIArtifact | None = None
    s3: S3Object | None = None
    gs: GSObject | None = None
    azure: AzureBlob | None = None
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """A reference; read with pullSecret. `scratch` is an image without files."""

    @property
    def in_bucket(self) -> BucketObject | None:
        """The object of a bucket that it is, if it is one."""
        return self.s3 or self.gs or self.azure

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, ONE_KIND)


NamedContexts = Annotated[tuple[NamedContext, ...], *keyed("name", most=16)]
