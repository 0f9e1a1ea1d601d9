"""The log of a run as it is kept in a registry, and what the gateway reports of it.

It is an OCI artifact with one layer, the log as gzip. The gateway's report is its termination message, data
of a pod: the operator takes a digest from it and nothing else that leads anywhere.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, ValidationError

from strake_api.models.document import Document, ShownText

ARTIFACT_TYPE: Final = "application/vnd.strake.log.v1"
LAYER_TYPE: Final = "application/vnd.strake.log.v1.text+gzip"
ANNOTATION_PREFIX: Final = "dev.strake.log."
"""Of the manifest's annotations: namespace, build, run, attempt, started, ended."""

LONGEST_REPORT: Final = 4096
"""Characters: the kubelet keeps no more bytes of a termination message."""
_Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class LogTarget(Document):
    """Where the log of a run goes, and whose it is. A matter of the platform."""

    repository: Annotated[str, Field(min_length=1, max_length=255)]
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
    """The name of the run's Job, which no other run has."""
    credentials: str | None = None
    """Path of a mounted Docker config file; the build's own credentials where it is not given."""
    namespace: str
    build: str
    run: _Number
    attempt: _Number


class LogReport(Document):
    """What became of a log."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Of the artifact's manifest; null where it was not pushed."""
    problem: Annotated[ShownText, Field(max_length=1024)] = ""
    """Why it was not pushed."""


def parse_log_report(text: str) -> LogReport | None:
    """Return a report; None for what is none."""
    if len(text) > LONGEST_REPORT:
        return None
    try:
        return LogReport.model_validate_json(text)
    except ValidationError:
        return None
