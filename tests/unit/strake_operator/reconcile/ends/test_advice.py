"""What a failure tells beside what happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_api.status import ImageBuildStatus, Phase
from strake_operator.reconcile.ends.advice import with_advice, with_last_words
from strake_operator.settings.environment import Ceiling
from tests.unit.strake_operator.builders import FAILURE, SETTINGS

MEMORY = BuildFailed(reason=FailureReason.OUT_OF_MEMORY, message="killed.")
DISK = BuildFailed(reason=FailureReason.OUT_OF_DISK, message="full")
LATE = BuildFailed(reason=FailureReason.TIMED_OUT, message="late")
SMALL = replace(
    SETTINGS, ceilings=(Ceiling("small", "memory", "1Gi"), Ceiling("flat", "ephemeral-storage", "5Gi"))
)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (MEMORY, "killed; BuildPolicy small allows at most 1Gi of memory: for more ask the platform team"),
        (
            DISK,
            "full; BuildPolicy flat allows at most 5Gi of ephemeral-storage: for more ask the platform team",
        ),
        (FAILURE, FAILURE.message),
    ],
)
def test_the_policy_that_sets_the_ceiling_is_named(failure, words):
    assert with_advice(failure, SMALL).message == words
    assert with_advice(failure, SETTINGS) == failure


@pytest.mark.parametrize(
    ("failure", "phase", "words"),
    [
        (MEMORY, Phase.BUILDING, "killed.; the last that it showed: [1/2] RUN make"),
        (MEMORY, Phase.PENDING, "killed."),
        (MEMORY.model_copy(update={"line": 3}), Phase.BUILDING, "killed."),
        (LATE, Phase.PENDING, "late, and the builder never started: [1/2] RUN make"),
        (LATE, Phase.BUILDING, "late"),
        (DISK, Phase.BUILDING, "full"),
    ],
)
def test_what_went_on_when_nobody_could_tell_any_more(failure, phase, words):
    before = ImageBuildStatus(phase=phase, progress="[1/2] RUN make")
    assert with_last_words(failure, before).message == words
    assert with_last_words(failure, ImageBuildStatus(phase=phase)) == failure
