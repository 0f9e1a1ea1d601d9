"""Where a builder takes files from: its context, and what stands in for stages and images."""

from __future__ import annotations

from typing import Annotated, Self, TypeAlias

from pydantic import Field, model_validator

from strake_api.models.document import Document
from strake_api.values.digest import DigestText

_WHOLE = (40, 64)
"""Digits of a commit's hash: SHA-1 and SHA-256."""


class GitSource(Document):
    """A commit of a git repository."""

    url: str
    """Where to clone from, without credentials."""
    ref: str = "HEAD"
    """A branch, tag or full commit hash."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    """What the ref must be, or the first digits of it; another commit fails the build."""
    resolved: bool = False
    """Whether a SourceRequest found the commit: it is fetched, and the ref may be another one by now."""
    path: str = "."
    """The directory inside the repository that is the build context."""
    submodules: bool = True
    """Whether submodules are checked out, too."""
    depth: Annotated[int, Field(ge=0)] = 1
    """Commits of history; 0 for all of it, with tags."""
    keep_git_dir: bool = True
    """Whether the context has `.git`, and those of submodules."""
    unverified: bool = False
    """Whether any certificate of the URL's server is accepted. Those of submodules' servers count."""
    fetched: str | None = None
    """Path of a directory where `strake fetch` has put the commit; the builder then asks no server."""
    credentials: str | None = None
    """Path of a mounted Secret: for https basic-auth with a key `host`, for ssh ssh-auth with known_hosts."""

    @model_validator(mode="after")
    def _whole_commit(self) -> Self:
        if self.resolved and len(self.commit or "") not in _WHOLE:
            raise ValueError("source.git.resolved needs the whole hash in source.git.commit")
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        is_ssh = self.url.startswith("ssh://") or "://" not in self.url
        if self.credentials is not None and not (is_ssh or self.url.startswith("https://")):
            raise ValueError("source.git.credentials are sent over https and ssh only")
        return self


class HTTPSource(Document):
    """A tar archive on a web server, compressed or not; or any file."""

    url: str
    """http or https, without credentials."""
    checksum: str | None = None
    """sha256:… that it must have."""
    path: str = "."
    """The directory of the archive that is the build context."""
    unpacked: bool = True
    """False: what is served is not unpacked. It is the one file of the context, and its name is `context`."""


class BucketSource(Document):
    """A tar archive in a bucket, read with the identity that the builder finds, or with a Secret."""

    url: str
    """s3://BUCKET/KEY, gs://BUCKET/OBJECT or https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB."""
    path: str = "."
    """The directory of the archive that is the build context."""
    endpoint: str | None = None
    """http or https: of a store other than AWS; its buckets are parts of the path."""
    region: str | None = None
    """Of a bucket of S3."""
    checksum: str | None = None
    """sha256:… that it must have."""
    credentials: str | None = None
    """Path of a mounted Secret, which `strake fetch` alone reads."""
    fetched: str | None = None
    """Path of a directory where `strake fetch` has put the archive; the builder then asks no server."""

    @model_validator(mode="after")
    def _fetched_apart(self) -> Self:
        if self.credentials is not None and self.fetched is None:
            raise ValueError("source.bucket.credentials need source.bucket.fetched: no builder reads them")
        return self

    @property
    def bucket_url(self) -> str:
        """Which bucket it is in, as a Secret names it: s3://B, gs://B, https://HOST/B."""
        if self.url.startswith("s3://") and self.endpoint is not None:
            return f"{self.endpoint}/{self.url.split('/')[2]}"
        parts = 4 if self.url.startswith("https://") else 3
        return "/".join(self.url.split("/")[:parts])


class OCISource(Document):
    """An OCI artifact that holds files, read with the credentials for pulling."""

    reference: str
    """By tag or digest."""
    path: str = "."
    """The directory of the artifact that is the build context."""


class DirectorySource(Document):
    """A directory of the file system that the builder sees, used where it is and never written to."""

    path: str
    """An absolute path."""
    digest: DigestText | None = None
    """sha256:… of its files that a SourceRequest found; others fail the build."""


class ArchiveSource(Document):
    """A tar archive that the builder sees, compressed or not."""

    path: str
    """An absolute path. A pipe is read once."""
    subdirectory: str = "."
    """The directory of the archive that is the build context."""


class InlineSource(Document):
    """A whole small context in the document itself."""

    files: dict[str, str]
    """Path relative to the context → content. Files get mode 0644."""


_Chosen: TypeAlias = (
    GitSource | HTTPSource | OCISource | BucketSource | DirectorySource | ArchiveSource | InlineSource
)


class Source(Document):
    """Where the build context comes from: exactly one field is set."""

    git: GitSource | None = None
    http: HTTPSource | None = None
    oci: OCISource | None = None
    bucket: BucketSource | None = None
    directory: DirectorySource | None = None
    archive: ArchiveSource | None = None
    inline: InlineSource | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(field is not None for field in self._given) != 1:
            raise ValueError(
                "source needs exactly one of git, http, oci, bucket, directory, archive or inline"
            )
        return self

    @property
    def _given(self) -> tuple[_Chosen | None, ...]:
        return (self.git, self.http, self.oci, self.bucket, self.directory, self.archive, self.inline)

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        return {
            "directory.path": self.directory.path if self.directory else None,
            "git.fetched": self.git.fetched if self.git else None,
            "git.credentials": self.git.credentials if self.git else None,
            "bucket.fetched": self.bucket.fetched if self.bucket else None,
            "bucket.credentials": self.bucket.credentials if self.bucket else None,
            "archive.path": self.archive.path if self.archive else None,
        }

    @property
    def chosen(self) -> _Chosen:
        """The field that is set, to `match` on."""
        chosen = next((each for each in self._given if each is not None), None)
        assert chosen is not None, "the validator saw to it"  # noqa: S101 - narrows the type
        return chosen


class LayoutImage(Document):
    """An image in an OCI image layout that the builder sees."""

    path: str
    """An absolute path of the layout's directory."""
    tag: str | None = None
    """`latest` where neither tag nor digest is given."""
    digest: DigestText | None = None
    """Of its manifest or index; it counts before a tag."""


class NamedContext(Document):
    """Files or an image in place of the stages and the images of a name: exactly one of them is set."""

    name: str
    """As an instruction would name an image; `alpine` means docker.io/library/alpine:latest, too."""
    source: Source | None = None
    """Files. A FROM of them begins without any configuration."""
    image: str | None = None
    """A reference; `scratch` is an image without files."""
    layout: LayoutImage | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.source, self.image, self.layout].count(None) != 2:  # noqa: PLR2004 - one of three is set
            raise ValueError(f"the context {self.name} needs exactly one of source, image or layout")
        return self

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        found = {f"source.{name}": path for name, path in (self.source.paths if self.source else {}).items()}
        return found | {"layout.path": self.layout.path if self.layout else None}
