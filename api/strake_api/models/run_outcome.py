"""Parts of a status that tell what came of a run."""

from __future__ import annotations

from strake_api.models.document import TolerantDocument


class PlatformImage(TolerantDocument):
    """The image of one platform."""

    platform: str
    digest: str


class ResolvedImage(TolerantDocument):
    """A base image and what its reference resolved to."""

    reference: str
    digest: str
    manifest: str | None = None
    """Of the build's platform: what a later run mounts as a volume, where it can take it from its node."""


class SourceStatus(TolerantDocument):
    """What the source resolved to."""

    revision: str | None = None
    """The full commit hash."""
    digest: str | None = None
    """Of the archive or the artifact, sha256:…, as it was fetched."""

    @classmethod
    def resolved(cls, revision: str | None, digest: str | None) -> SourceStatus | None:
        """Return what a source resolved to; None for one that does not change."""
        return cls(revision=revision, digest=digest) if revision or digest else None


class IsolationStatus(TolerantDocument):
    """How the run's steps are kept apart from the node."""

    kind: str
    """root, nested or chroot: see docs/operator.md."""
    own_proc: bool | None = None
    """Whether steps have a /proc and process IDs of their own; absent before the builder tells."""
    reason: str | None = None
    """Why no stricter way was to be had."""


class ImageSizes(TolerantDocument):
    """Bytes of the image, and of what it took to build it."""

    compressed: int = 0
    """All layers of the image, as they are in the registry."""
    pushed: int = 0
    """What went to the destinations: less where blobs were there already."""
    pulled: int = 0
    """Layers that the builder read from registries. Those that the node brought are not among them."""


class Failure(TolerantDocument):
    """Why the run failed."""

    reason: str
    """From the closed list in docs/imagebuild.md."""
    message: str
    file: str | None = None
    line: int | None = None
    """The line of the Dockerfile, from 1."""
    instruction: str | None = None
    exit_code: int | None = None
    log_tail: str | None = None
    """The last lines that the failing command wrote."""
