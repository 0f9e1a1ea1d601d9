"""BuildResult: what the builder hands back, small enough for a termination message.

Kubernetes keeps 4,096 bytes of a container's termination message. A result is cut to fit in a fixed
order: what only a person reads goes first, digests never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from strake_api.models.document import Document, ShownText
from strake_api.models.verification import CheckResult
from strake_api.reasons import FailureReason
from strake_api.values.digest import DigestText

if TYPE_CHECKING:
    from collections.abc import Iterator

TERMINATION_MESSAGE_LIMIT = 4096
"""Bytes. From the kubelet: a longer message loses its beginning or its end."""


_Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A number that the operator hands on: no step may make it one that the API server refuses."""
_Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_ShortText = Annotated[ShownText, Field(max_length=128)]


class BaseImage(Document):
    """An image that a FROM (or COPY --from) named, and what it resolved to."""

    reference: ShownText
    digest: DigestText
    manifest: DigestText | None = None
    """Of the build's platform; given where the build needed the files and an image volume can bring them."""


class StepCounts(Document):
    """How the build's steps ended.

    `total` may exceed the sum: a failure leaves steps undone, and an instruction that only changes the
    image's config neither runs nor comes from the cache.
    """

    total: _Number = 0
    run: _Number = 0
    cached: _Number = 0


class Durations(Document):
    """Wall-clock seconds. Phases overlap, so their sum may exceed the total."""

    total: _Seconds = 0.0
    source: _Seconds | None = None
    pull: _Seconds | None = None
    build: _Seconds | None = None
    push: _Seconds | None = None


class Sizes(Document):
    """Bytes of the image and of what it took to push it."""

    compressed: _Bytes = 0
    """All layers as they lie in the registry."""
    uncompressed: _Bytes | None = None
    pushed: _Bytes = 0
    """What went over the network: less than `compressed` where blobs were there already."""
    pulled: _Bytes = 0
    """Layers that were read from registries, compressed. A build does not read all of its base images."""


class BuildWarning(Document):
    """Something that does not stop the build and deserves a look."""

    message: ShownText
    file: ShownText | None = None
    line: _Number | None = None


IsolationKind = Literal["root", "nested", "chroot"]
"""Ways of keeping steps apart from the machine, the strictest first: see `docs/isolation.md`."""


class Isolation(Document):
    """How the build's steps were kept apart, and why not better."""

    kind: IsolationKind
    own_proc: bool = True
    """Whether steps had a /proc and process IDs of their own; else those of the builder's container."""
    reason: ShownText | None = None
    """Why no stricter way was to be had; null where none was tried."""


class _Outcome(Document):
    api_version: Literal["strake.dev/v1alpha1"] = "strake.dev/v1alpha1"
    kind: Literal["BuildResult"] = "BuildResult"
    platform: _ShortText | None = None
    """What the image is for; of several, in the order of the request, with commas."""
    isolation: Isolation | None = None
    """Null where the build ended before a way was chosen."""
    source_revision: _ShortText | None = None
    """The full commit hash, for a source that has one."""
    source_digest: _ShortText | None = None
    """Of the archive or the artifact, as it was fetched."""
    base_images: tuple[BaseImage, ...] = ()
    steps: StepCounts = StepCounts()
    durations: Durations = Durations()
    warnings: tuple[BuildWarning, ...] = ()
    verification: tuple[CheckResult, ...] = ()
    """The checks of the image; of several platforms those of each."""
    truncated: bool = False
    """Something was cut to fit the termination message; the log has it all."""


class PlatformImage(Document):
    """One image of an index."""

    platform: _ShortText
    digest: DigestText


class ResolvedSource(Document):
    """What a source was when it was resolved; neither is given for one that cannot change."""

    name: ShownText = ""
    """Of the named context; empty for the build context, and for all where the result had to be cut."""
    revision: _ShortText | None = None
    """The full commit hash, of a source in git."""
    digest: DigestText | None = None
    """Of the archive, the object, the artifact's manifest, or the directory's files."""


class BuildSucceeded(_Outcome):
    """The image is at every destination; or the index, for an IndexRequest.

    Where only its files were asked for, which an ImageBuild cannot, there is no image and no digest. Neither
    is there for a SourceRequest, whose result has `sources` alone.
    """

    outcome: Literal["Succeeded"] = "Succeeded"
    sources: tuple[ResolvedSource, ...] = ()
    """For a SourceRequest: the build context, then each named context, in the order of the request."""
    digest: DigestText | None = None
    """Of the manifest: the same at every destination."""
    images: tuple[ShownText, ...] = ()
    """`repository@digest` for each destination, in the order of the request."""
    references: tuple[ShownText, ...] = ()
    """`repository:tag` for each destination, in the order of the request: what its fields became."""
    platforms: tuple[PlatformImage, ...] = ()
    """The images of an index, in its order; none where there is one image."""
    config_digest: DigestText | None = None
    attestation: DigestText | None = None
    """Of the manifest with the image's provenance: the same at every destination that took it."""
    layers: _Number = 0
    sizes: Sizes = Sizes()


class BuildFailed(_Outcome):
    """There is no image; `message` says why in words for a person."""

    outcome: Literal["Failed"] = "Failed"
    reason: FailureReason
    message: ShownText
    digest: DigestText | None = None
    """Of an image that a check refused: it is in the destinations' repositories, without a tag."""
    temporary: bool = False
    """A server failed or did not answer, however often it was asked: the same build may succeed later."""
    file: ShownText | None = None
    """The Dockerfile's path relative to the context."""
    line: _Number | None = None
    """1-based, where the instruction starts."""
    instruction: ShownText | None = None
    """The instruction as written, shortened."""
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """The command's status: 128 + n where signal n ended it."""
    log_tail: tuple[ShownText, ...] = ()
    """The last lines that the failing command wrote."""


BuildResult = Annotated[BuildSucceeded | BuildFailed, Field(discriminator="outcome")]

_ADAPTER: TypeAdapter[BuildSucceeded | BuildFailed] = TypeAdapter(
    BuildResult, config=ConfigDict(defer_build=True)
)


def parse_result(text: str | bytes) -> BuildSucceeded | BuildFailed:
    """Return the result that a builder wrote.

    Raises:
        ValueError: The text is not a BuildResult (pydantic's ValidationError is one).
    """
    return _ADAPTER.validate_json(text)


def fit_result(result: BuildSucceeded | BuildFailed, limit: int = TERMINATION_MESSAGE_LIMIT) -> bytes:
    """Return a result as JSON of at most `limit` bytes, cut with `truncated: true` where it must be.

    What goes first: warnings, then the log's oldest lines, then long texts; then lists that the
    operator can do without. The image's digest and the reason of a failure stay in any case.

    Raises:
        ValueError: Not even the shortest form fits; no limit of a real cluster is so small.
    """
    for form in _shorter_forms(result):
        encoded = form.to_json().encode()
        if len(encoded) <= limit:
            return encoded
    raise ValueError(f"no form of the result fits into {limit} bytes")


def _shorter_forms(result: BuildSucceeded | BuildFailed) -> Iterator[BuildSucceeded | BuildFailed]:
    yield result
    result = result.model_copy(update={"truncated": True})
    for kept in range(len(result.warnings) - 1, -1, -1):
        result = result.model_copy(update={"warnings": result.warnings[:kept]})
        yield result
    # The failure's own message has the first of them.
    untold = tuple(each.model_copy(update={"message": None}) for each in result.verification)
    result = result.model_copy(update={"verification": untold})
    if isinstance(result, BuildFailed):
        for form in _shorter_failures(result):
            yield form
            result = form
    else:
        for brief in _shorter_successes(result):
            yield brief
            result = brief
    while result.verification:
        result = result.model_copy(update={"verification": result.verification[:-1]})
        yield result
    while result.base_images:
        result = result.model_copy(update={"base_images": result.base_images[:-1]})
        yield result
    if result.isolation is not None and result.isolation.reason is not None:
        short = result.isolation.model_copy(update={"reason": None})
        result = result.model_copy(update={"isolation": short})
    yield result.model_copy(update={"source_revision": None, "source_digest": None, "platform": None})


def _shorter_successes(result: BuildSucceeded) -> Iterator[BuildSucceeded]:
    nameless = tuple(each.model_copy(update={"name": ""}) for each in result.sources)
    result = result.model_copy(update={"sources": nameless})
    while result.platforms:
        result = result.model_copy(update={"platforms": result.platforms[:-1]})
        yield result
    while result.references:
        result = result.model_copy(update={"references": result.references[:-1]})
        yield result
    while result.images:
        result = result.model_copy(update={"images": result.images[:-1]})
        yield result
    yield result


def _shorter_failures(failure: BuildFailed) -> Iterator[BuildFailed]:
    for length, lines in ((1000, 1_000), (300, 3)):
        failure = failure.model_copy(
            update={
                "log_tail": tuple(shorten(line, length // 3) for line in failure.log_tail[-lines:]),
                "message": shorten(failure.message, length),
                "instruction": failure.instruction and shorten(failure.instruction, length // 3),
                "file": failure.file and shorten(failure.file, length // 3),
            }
        )
        for dropped in range(len(failure.log_tail) + 1):
            yield failure.model_copy(update={"log_tail": failure.log_tail[dropped:]})


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters: an ellipsis replaces the middle of a longer one."""
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[head + 1 - length :]}"
