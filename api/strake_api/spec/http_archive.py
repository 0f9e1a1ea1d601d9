"""A build context that a web server has, as an archive."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, checked, obeying
from strake_api.spec.paths import inside

_URL = r"^https?://[^\s/@]+/\S*$"
AN_HTTP_URL: Rule[str] = Rule(
    "self.matches('^https?://[^\\\\s/@]+/[^\\\\s]*$')",
    "http.url is written https://HOST/PATH, without a user name or password, which everyone who may read the "
    "ImageBuild would see",
    lambda url: re.fullmatch(_URL, url) is not None,
)
SURE: Rule[HTTPArchive] = Rule(
    "has(self.checksum) || self.url.startsWith('https://')",
    "http.url without TLS needs http.checksum: on its way anybody could put another archive in its place",
    lambda archive: archive.checksum is not None or archive.url.startswith("https://"),
)


class HTTPArchive(Document):
    """An archive (tar; gzip, bzip2, xz or zstd over it) on a web server."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SURE))

    url: Annotated[str, Field(max_length=2048), *checked(AN_HTTP_URL)]
    """Where it is: https, or http with a checksum."""
    checksum: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)] | None = None
    """sha256:… of the archive as it is served; another one fails the build."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("http.path"))] = "."
    """The directory of the archive that is the build context."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, SURE)
