"""What is kept of runs that ended."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked
from strake_api.values.duration import DurationText, parse_duration

LONGEST_HOURS = 720
A_KEPT_TIME: Rule[str] = Rule(
    f"duration(self) <= duration('{LONGEST_HOURS}h')",
    f"a run's Job and pod are kept for {LONGEST_HOURS}h at most: each is memory of the API server",
    lambda text: parse_duration(text) <= LONGEST_HOURS * 3600,
)

RunCount = Annotated[int, Field(ge=0, le=20)]
KeptTime = Annotated[DurationText, *checked(A_KEPT_TIME)]


class Retention(Document):
    """What is kept of runs that ended. The ImageBuild itself is never deleted, nor is an image."""

    successful_runs: RunCount | None = None
    """How many runs that succeeded are kept in status.history, and with their Jobs for the time of those."""
    failed_runs: RunCount | None = None
    """How many runs that failed are kept, likewise."""
    ttl_after_success: KeptTime | None = None
    """How long Job, pod and ConfigMap of a run are kept after it succeeded: 10m, or 0s for none."""
    ttl_after_failure: KeptTime | None = None
    """How long Job, pod and ConfigMap of a run are kept after it failed."""
