"""Why a RUN command failed: the reason, and the words that help."""

from __future__ import annotations

import pytest

from strake_builder.sandbox.crun import Outcome
from strake_builder.sandbox.memory import Memory
from strake_builder.sandbox.run_failure import Surroundings, run_failure
from tests.fixtures.narrow import present

CALM = Surroundings(killed=0, memory=Memory(kills=3, limit=256 << 20, peak=200 << 20), disk_was_full=False)
NO_MEMORY = Surroundings(
    killed=1, memory=Memory(kills=4, limit=256 << 20, peak=256 << 20), disk_was_full=False
)
UNKNOWN = Surroundings(killed=1, memory=Memory(kills=1), disk_was_full=False)
BLIND = Surroundings(killed=None, memory=Memory(), disk_was_full=False)
FULL = Surroundings(killed=0, memory=Memory(), disk_was_full=True)


def test_a_command_that_did_well_has_no_failure():
    """Also where something of it was killed, and it could do without."""
    for during in (CALM, NO_MEMORY, FULL):
        assert run_failure(Outcome(0, ()), "make", during) is None


MORE = "raise spec.resources.limits.memory, or do less at a time"
USED = "the container used 256Mi and its limit is 256Mi"
KILLED = "the command make was killed for lack of memory"
MEANWHILE = "the command make ended with exit code 2 (meanwhile the kernel killed a process of the build"
OTHER = "with SIGKILL, and not the kernel for lack of memory"


@pytest.mark.parametrize(
    ("status", "during", "reason", "words"),
    [
        (137, NO_MEMORY, "OutOfMemory", f"{KILLED}: {USED} ({MORE})"),
        (137, UNKNOWN, "OutOfMemory", f"{KILLED} ({MORE})"),
        (137, CALM, "RunStepFailed", OTHER),
        (137, BLIND, "RunStepFailed", "it was killed (SIGKILL), most often for lack of memory"),
        (2, NO_MEMORY, "RunStepFailed", f"{MEANWHILE} for lack of memory ({USED}): {MORE})"),
        (2, CALM, "RunStepFailed", "the command make ended with exit code 2"),
        (1, FULL, "OutOfDisk", "ended with exit code 1: the work directory is full"),
    ],
    ids=["killed", "no numbers", "another SIGKILL", "nobody tells", "a child killed", "plain", "full"],
)
def test_the_reason_and_the_words(status, during, reason, words):
    failure = present(run_failure(Outcome(status, ("last",)), "make", during))
    assert failure.reason == reason
    assert words in str(failure)
    assert (failure.exit_code, failure.log_tail) == (status, ("last",))


def test_a_command_that_could_not_be_started():
    outcome = Outcome(127, (), "executable file not found")
    failure = present(run_failure(outcome, "make", CALM))
    assert str(failure).startswith(
        "cannot start make: executable file not found (check that the program exists"
    )
    full = Outcome(1, (), "write: No space left on device")
    assert present(run_failure(full, "make", CALM)).reason == "OutOfDisk"
