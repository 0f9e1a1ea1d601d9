"""What the builder says while it works.

`--log-format=json` writes events for programs, one JSON object a line on standard output; people read the
same events as text, and from that text (`strake_api.logs.lines`) the operator folds `status.progress`. Steps
are numbered from 1 in the order of the Dockerfile; steps of independent stages interleave. A reader skips a
type it does not know.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from strake_api.models.document import ColouredText, Document, ShownText, TolerantDocument
from strake_api.reasons import ProgressReason
from strake_api.result import BuildResult, Isolation
from strake_api.values.digest import DigestText


class _Event(TolerantDocument):
    time: AwareDatetime


class PhaseStarted(_Event):
    """The build as a whole entered another phase."""

    type: Literal["PhaseStarted"] = "PhaseStarted"
    phase: ProgressReason
    """FetchingSource, PullingBase, Building or Pushing."""


class IsolationChosen(_Event):
    """How steps are kept apart from the machine, found out before anything else."""

    type: Literal["IsolationChosen"] = "IsolationChosen"
    isolation: Isolation


class Planned(_Event):
    """The Dockerfile is read: so many steps will run or be taken from the cache."""

    type: Literal["Planned"] = "Planned"
    steps: int


class StepStarted(_Event):
    """An instruction begins to run."""

    type: Literal["StepStarted"] = "StepStarted"
    step: int
    line: int | None = None
    """Null where the event was read from a log of text."""
    instruction: ShownText
    """As written, shortened."""
    stage: ShownText | None = None
    """The stage's name, or its number where it has none."""


class StepCached(_Event):
    """An instruction's result was taken from the cache."""

    type: Literal["StepCached"] = "StepCached"
    step: int
    line: int | None = None
    instruction: ShownText
    stage: ShownText | None = None


class StepFinished(_Event):
    """An instruction ran to its end."""

    type: Literal["StepFinished"] = "StepFinished"
    step: int
    seconds: float


class StepFailed(_Event):
    """An instruction failed; the result says the rest."""

    type: Literal["StepFailed"] = "StepFailed"
    step: int
    seconds: float
    exit_code: int | None = None


class OutputLine(_Event):
    """A line that a step's command wrote, without its line end."""

    type: Literal["OutputLine"] = "OutputLine"
    step: int
    stream: Literal["stdout", "stderr"] = "stdout"
    text: ColouredText


class ContextProgress(_Event):
    """Bytes that have been downloaded so far of a context, or of what an ADD names by its URL."""

    type: Literal["ContextProgress"] = "ContextProgress"
    source: ShownText
    """A URL without user, password and query, or an artifact's reference."""
    done: int
    total: int | None = None
    """Null where the server does not tell; the last event of a source has it in any case."""


class PullProgress(_Event):
    """Bytes of a base image that have arrived so far."""

    type: Literal["PullProgress"] = "PullProgress"
    image: ShownText
    done: int
    total: int


class PushProgress(_Event):
    """Bytes of a blob that went to a repository so far."""

    type: Literal["PushProgress"] = "PushProgress"
    repository: ShownText
    digest: DigestText | None = None
    """Null while the blob is still being made."""
    done: int
    total: int | None = None
    """Null while the blob is still being made."""


class LayerPushed(_Event):
    """A blob is at its destination."""

    type: Literal["LayerPushed"] = "LayerPushed"
    repository: ShownText
    digest: DigestText
    bytes: int
    """The blob's size."""
    transferred: bool = True
    """False where the registry had the blob already or mounted it from another repository."""


class ImageSigned(_Event):
    """An image is signed in a repository, and has no tag there yet."""

    type: Literal["ImageSigned"] = "ImageSigned"
    repository: ShownText
    digest: DigestText


class CacheMountMoved(_Event):
    """The content of a `RUN --mount=type=cache` came from the cache's repository, or is kept there now."""

    type: Literal["CacheMountMoved"] = "CacheMountMoved"
    action: Literal["restored", "kept"]
    target: ShownText
    """Where the step has it."""
    bytes: int
    """Of its files."""
    files: int
    transferred: int
    """Bytes that came or went, compressed."""


class Warned(_Event):
    """Something that does not stop the build and deserves a look."""

    type: Literal["Warned"] = "Warned"
    message: ShownText
    file: ShownText | None = None
    line: int | None = None


class Finished(_Event):
    """The last event: the same document as in the termination message, uncut."""

    type: Literal["Finished"] = "Finished"
    result: BuildResult


Event = (
    IsolationChosen
    | PhaseStarted
    | Planned
    | StepStarted
    | StepCached
    | StepFinished
    | StepFailed
    | OutputLine
    | ContextProgress
    | PullProgress
    | PushProgress
    | LayerPushed
    | ImageSigned
    | CacheMountMoved
    | Warned
    | Finished
)

_ADAPTER: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="type")],
    config=ConfigDict(defer_build=True),  # the builder, which only writes events, never needs it
)


def parse_event(line: str | bytes) -> Event | None:
    """Return the event on a line of the builder's output; None for anything that is not one."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None


def format_event(event: Document) -> str:
    """Return an event as one line of JSON, without the line end."""
    return event.to_json()
