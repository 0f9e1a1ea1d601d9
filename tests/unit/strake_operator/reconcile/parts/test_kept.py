"""What is kept of the parts of a run: their Jobs, their logs, and which Jobs are theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, ResolvedSource
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.ends.outcome import outcome
from strake_operator.reconcile.observed import Observation
from strake_operator.reconcile.origin import sort_out
from strake_operator.reconcile.runs import ended
from strake_operator.settings.default_cache import RepositoryTemplate
from tests.fixtures.narrow import present
from tests.unit.strake_operator import builders
from tests.unit.strake_operator.builders import DIGEST, NOW, SETTINGS, build, pod
from tests.unit.strake_operator.reconcile.parts.several import (
    AMD64,
    ARM64,
    DIGESTS,
    FIXED,
    RESOLVED,
    SEVERAL,
    decided,
    entry,
    job,
    name_of,
    result_of,
    spec_of,
    starts,
    status_with,
    stops,
)

DONE = "Succeeded"
JOBS = tuple(job(each, "ended well") for each in (AMD64, ARM64, "index"))


def over():
    """Return the status of a run that ended, of a commit."""
    before = status_with(entry(AMD64, DONE), entry(ARM64, DONE), entry("index"), spec=FIXED)
    before = before.model_copy(update={"log_repository": "r.example/logs/team"})
    return decided(*JOBS, status=before, spec=FIXED).status


def test_each_part_has_a_log_of_its_own():
    logged = replace(
        JOBS[1],
        pod=pod(builders.ended(result_of(ARM64).to_json()), log_report=json.dumps({"digest": DIGEST})),
    )
    failed = replace(
        JOBS[2],
        pod=pod(
            builders.ended(result_of("index").to_json()),
            log_report=json.dumps({"digest": None, "problem": "503"}),
        ),
    )
    keeping = replace(SETTINGS, log_repository=RepositoryTemplate("r.example/logs/{namespace}"))
    seen = Observation(build(over(), spec=FIXED), (JOBS[0], logged, failed), None)
    (run,) = present(decide(seen, keeping, NOW).status.history)
    parts = {each.name: (each.log, each.log_failure) for each in present(run.parts)}
    assert parts == {
        AMD64: (None, None),
        ARM64: (f"r.example/logs/team@{DIGEST}", None),
        "index": (None, "503"),
    }


def test_the_jobs_of_a_run_stay_for_as_long_as_that_of_one():
    status = over()
    assert stops(decided(*JOBS, status=status, spec=FIXED)) == []
    later = NOW + timedelta(seconds=SETTINGS.keep_seconds + 1)
    assert set(stops(decided(*JOBS, status=status, spec=FIXED, now=later))) == {each.job for each in JOBS}


@pytest.mark.parametrize(("kept", "expected"), [({}, 3), ({"successfulRuns": 1}, 0)])
def test_the_jobs_of_an_earlier_run_stay_where_runs_are_kept(kept, expected):
    spec = spec_of("d" * 40, retention=kept)
    decision = decided(*JOBS, status=over(), spec=spec, generation=2)
    assert len(stops(decision)) == expected
    assert starts(decision) == ([] if expected else [AMD64])


def test_a_job_of_a_part_is_known_by_its_uid():
    seen = build(status_with(entry(AMD64), entry(ARM64, None), spec=FIXED), spec=FIXED)
    own, forged = job(AMD64), job(AMD64, uid="evil")
    other, made = job(ARM64), job("index", uid="uid-made")
    assert sort_out((own, forged, other, made), seen, {"uid-made"}) == ((own, made), (forged, other))


def test_a_forged_job_of_a_part_is_stopped_and_tells_nothing():
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    forged = job(ARM64, "ended well", uid="evil", job=f"{name_of(ARM64)}-9", attempt=9)
    decision = decided(job(AMD64), job(ARM64), status=before, spec=FIXED, strays=(forged,))
    assert stops(decision) == [forged.job]
    assert decision.status.phase == "Building"


SOURCES = (ResolvedSource(), ResolvedSource())


@pytest.mark.parametrize(
    ("part", "result"),
    [
        ("source", BuildSucceeded(digest=DIGEST)),
        ("source", BuildSucceeded()),
        ("source", BuildSucceeded(sources=SOURCES)),
        (AMD64, RESOLVED),
        (AMD64, BuildSucceeded()),
        ("index", RESOLVED),
    ],
)
def test_a_part_that_reports_what_another_makes_has_not_ended_well(part, result):
    told = replace(job(part), pod=pod(builders.ended(result.to_json(), exit_code=0)), finished=True)
    assert isinstance(outcome(told, SEVERAL), BuildFailed)
    before = status_with(*(() if part == "source" else (entry("source", DONE),)), entry(part))
    if part == AMD64:
        before = status_with(entry("source", DONE), entry(AMD64), entry(ARM64, DONE))
    elif part == "index":
        before = status_with(entry("source", DONE), entry(AMD64, DONE), entry(ARM64, DONE), entry("index"))
    status = decided(told, status=before).status
    assert present(status.failure).reason == FailureReason.INTERNAL_ERROR


def test_an_image_of_another_repository_is_not_believed():
    forged = BuildSucceeded(digest=DIGESTS[AMD64], images=(f"r.example/other@{DIGESTS[AMD64]}",))
    told = replace(job(AMD64), pod=pod(builders.ended(forged.to_json(), exit_code=0)), finished=True)
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    status = decided(told, job(ARM64), status=before, spec=FIXED).status
    assert "a step may have written the result" in present(status.failure).message.lower()


def test_the_end_of_a_part_is_decided_from_a_fresh_read_as_that_of_a_run_is():
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    after = decided(job(AMD64, "ended well"), job(ARM64), status=before, spec=FIXED).status
    assert ended(before, after)
    assert not ended(after, after)
    assert not ended(before, before)
