"""An ImageBuild as the commands need it: what was asked for last, and whether its status is about that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from strake_api.status import Condition, HandledRequests, ImageBuildStatus, Phase, Run
from strake_kubectl.errors import CommandError

RERUN: Final = "strake.dev/rerun"
CANCEL: Final = "strake.dev/cancel"
"""Annotations that ask for something by each new value."""


@dataclass(frozen=True, slots=True)
class Build:
    """An ImageBuild.

    Attributes:
        document: All of it, as it came.
        status: What the operator says; empty where it has said nothing.
    """

    document: Mapping[str, Any]
    status: ImageBuildStatus

    @property
    def _metadata(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["metadata"]
        return found

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._metadata["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self._metadata.get("namespace", ""))

    @property
    def uid(self) -> str:
        """Its UID, which no other one had or will have."""
        return str(self._metadata.get("uid", ""))

    @property
    def version(self) -> str:
        """The resourceVersion that it was read at."""
        return str(self._metadata.get("resourceVersion", ""))

    @property
    def generation(self) -> int:
        """Of its spec."""
        return int(self._metadata.get("generation", 0))

    @property
    def created(self) -> datetime | None:
        """When it was made."""
        return moment(self._metadata.get("creationTimestamp"))

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self._metadata.get("labels") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self.document.get("spec") or {}

    def condition(self, kind: str) -> Condition | None:
        """Return a condition of the status."""
        return next((each for each in self.status.conditions if each.type == kind), None)

    @property
    def reason(self) -> str:
        """Why it is where it is, in one word."""
        found = self.condition("Ready")
        return found.reason if found else ""

    @property
    def message(self) -> str:
        """Why it is where it is, for a person."""
        found = self.condition("Ready")
        return found.message if found else ""

    @property
    def run(self) -> int:
        """The number of the run that the status is about; 0 before the first."""
        return self.status.run.number if self.status.run else 0

    @property
    def is_current(self) -> bool:
        """Whether the status is about the spec as it is, and about what annotations ask."""
        handled = self.status.last_handled or HandledRequests()
        asked = self._metadata.get("annotations") or {}
        return (
            self.status.observed_generation >= self.generation
            and _is_handled(asked.get(RERUN), handled.rerun)
            and _is_handled(asked.get(CANCEL), handled.cancel)
        )

    @property
    def is_finished(self) -> bool:
        """Whether what was asked for last has ended, in whichever way."""
        found = self.condition("Finished")
        return self.is_current and found is not None and found.status == "True"

    @property
    def has_succeeded(self) -> bool:
        """Whether it ended with an image."""
        return self.is_finished and self.status.phase is Phase.SUCCEEDED

    def ended_run(self, number: int) -> Run | None:
        """Return what is kept of a run that ended."""
        return next((each for each in self.status.history or () if each.number == number), None)


def build_of(document: Mapping[str, Any]) -> Build:
    """Return an ImageBuild of the API server.

    Raises:
        CommandError: Its status is none that this version knows.
    """
    try:
        return Build(document, ImageBuildStatus.model_validate(document.get("status") or {}))
    except ValidationError as error:
        name = document.get("metadata", {}).get("name")
        raise CommandError(
            f"the status of {name} cannot be read: {error.error_count()} fields are of another form",
            hint="use the version of kubectl-strake that belongs to the cluster's operator",
        ) from error


def moment(text: object) -> datetime | None:
    """Return a time as the API server writes it; None for what is none."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _is_handled(asked: str | None, handled: str | None) -> bool:
    """Say whether an annotation's value was acted on. Of a long one the status has the digest."""
    if asked is None or asked == handled:
        return True
    return handled == f"sha256:{hashlib.sha256(asked.encode(errors='surrogatepass')).hexdigest()}"
