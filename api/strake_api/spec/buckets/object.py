"""An archive in a bucket, and which bucket that is for a policy and for a Secret.

Names are kept so narrow that a URL made of them can mean no other bucket, host or object: no
percent-encoding, no `.` or `..`, no query. What a cloud allows beyond that is refused here.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, checked, obeying
from strake_api.spec.named import LocalReference
from strake_api.spec.paths import inside

_CHARACTERS = "[A-Za-z0-9!$&()*+,:=@~._-]"
_OBJECT = f"{_CHARACTERS}+(/{_CHARACTERS}+)*"
_DOTS = r"(^|/)[.][.]?(/|$)"
_BUCKET = "[a-z0-9]+(([._]|-+)[a-z0-9]+)*"
_ENDPOINT = r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?"
_BLOBS = r"blob[.]core[.](windows[.]net|chinacloudapi[.]cn|usgovcloudapi[.]net|cloudapi[.]de)"
_AZURE = f"https://[a-z0-9-]+[.]{_BLOBS}/[a-z0-9][a-z0-9-]*/{_OBJECT}"


def _text_rule(pattern: str, message: str, never: str = "") -> Rule[str]:
    """Return the rule of a text that a pattern fits as a whole, and in which another finds nothing."""
    cel = f"self.matches('^{pattern}$')" + (f" && !self.matches('{never}')" if never else "")
    return Rule(
        cel,
        message,
        lambda text: (
            re.fullmatch(pattern, text, re.ASCII) is not None
            and not (never and re.search(never, text, re.ASCII))
        ),
    )


def _object_rule(field: str) -> Rule[str]:
    return _text_rule(
        _OBJECT,
        f"{field} is the name of an object, as builds/context.tar.gz: letters, digits and !$&()*+,:=@~._- "
        "between single slashes, without '.' or '..' as a part",
        _DOTS,
    )


def _bucket_rule(field: str) -> Rule[str]:
    return _text_rule(
        _BUCKET,
        f"{field} is a bucket's name alone: lower-case letters, digits, and single dots, dashes or "
        "underscores between them",
    )


AN_ENDPOINT: Rule[str] = _text_rule(
    _ENDPOINT,
    "s3.endpoint is written https://HOST or https://HOST:PORT, in lower case: no user name, path or query",
)
A_BLOB: Rule[str] = _text_rule(
    _AZURE,
    "azure.url is written https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB, without a signature or "
    "percent-encoding, and without '.' or '..' as a part of the blob's name",
    "/[.][.]?(/|$)",
)
SURE: Rule[S3Object] = Rule(
    "has(self.checksum) || !has(self.endpoint) || self.endpoint.startsWith('https://')",
    "an s3.endpoint without TLS needs s3.checksum: on its way anybody could put another archive in its place",
    lambda each: each.checksum is not None or not (each.endpoint or "").startswith("http://"),
)

Checksum = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class S3Object(Document):
    """An archive in a bucket of S3, or of what speaks like it."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SURE))

    bucket: Annotated[str, Field(min_length=3, max_length=63), *checked(_bucket_rule("s3.bucket"))]
    """The bucket's name."""
    key: Annotated[str, Field(max_length=1024), *checked(_object_rule("s3.key"))]
    """The object's name."""
    endpoint: Annotated[str, Field(max_length=255), *checked(AN_ENDPOINT)] | None = None
    """Of a store other than AWS: https://HOST[:PORT]. The bucket is then a part of the path."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=32)] | None = None
    """The bucket's region; what the pod's identity says, or us-east-1, where it is not given."""
    checksum: Checksum | None = None
    """sha256:… of the archive; another one fails the build."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("s3.path"))] = "."
    """The directory of the archive that is the build context."""
    secret: LocalReference | None = None
    """With AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and the bucket that they are for in `bucket`."""

    @property
    def kind(self) -> Literal["s3"]:
        """The field of the source that it is in."""
        return "s3"

    @property
    def url(self) -> str:
        """The object, for the builder."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def bucket_url(self) -> str:
        """The bucket, for a policy and a Secret: s3://BUCKET, or https://HOST/BUCKET of another store."""
        return f"s3://{self.bucket}" if self.endpoint is None else f"{self.endpoint}/{self.bucket}"

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, SURE)


class GSObject(Document):
    """An archive in a bucket of Google Cloud Storage."""

    bucket: Annotated[str, Field(min_length=3, max_length=222), *checked(_bucket_rule("gs.bucket"))]
    """The bucket's name."""
    object: Annotated[str, Field(max_length=1024), *checked(_object_rule("gs.object"))]
    """The object's name."""
    checksum: Checksum | None = None
    """sha256:… of the archive; another one fails the build."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("gs.path"))] = "."
    """The directory of the archive that is the build context."""
    secret: LocalReference | None = None
    """With a service account's key in `key.json`, and the bucket that it is for in `bucket`."""

    @property
    def kind(self) -> Literal["gs"]:
        """The field of the source that it is in."""
        return "gs"

    @property
    def url(self) -> str:
        """The object, for the builder."""
        return f"gs://{self.bucket}/{self.object}"

    @property
    def bucket_url(self) -> str:
        """The bucket, for a policy and a Secret: gs://BUCKET."""
        return f"gs://{self.bucket}"


class AzureBlob(Document):
    """An archive in a container of Azure Blob Storage."""

    url: Annotated[str, Field(max_length=1200), *checked(A_BLOB)]
    """https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB, or of a sovereign cloud."""
    checksum: Checksum | None = None
    """sha256:… of the archive; another one fails the build."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("azure.path"))] = "."
    """The directory of the archive that is the build context."""
    secret: LocalReference | None = None
    """With AZURE_STORAGE_ACCESS_KEY, and the container that it is for in `bucket`."""

    @property
    def kind(self) -> Literal["azure"]:
        """The field of the source that it is in."""
        return "azure"

    @property
    def bucket_url(self) -> str:
        """The container, for a policy and a Secret: https://ACCOUNT.blob.core.windows.net/CONTAINER."""
        return "/".join(self.url.split("/")[:4])


BucketObject: TypeAlias = S3Object | GSObject | AzureBlob
