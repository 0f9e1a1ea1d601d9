"""Where a run's log is kept: the digest is the gateway's word, the repository never."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.ends.log import UNKNOWN
from strake_operator.reconcile.observed import Observation, Running
from strake_operator.settings.default_cache import RepositoryTemplate
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    DIGEST,
    FAILURE,
    NOW,
    SETTINGS,
    SUCCESS,
    build,
    ended,
    pod,
    run,
)

KEEPING = replace(SETTINGS, log_repository=RepositoryTemplate("r.example/logs/{namespace}"))
PUSHED = json.dumps({"digest": DIGEST, "problem": ""})


def decided(*jobs, status=None, settings=KEEPING, **changes):
    return decide(Observation(build(status, **changes), jobs, None), settings, NOW).status


def job_of(status, report=None, result=SUCCESS, **changes):
    container = ended(result.to_json())
    fields = {"job": present(status.job), "uid": "uid-1", "finished": report is not None}
    return run(**{**fields, "pod": pod(container, log_report=report), **changes})


def over(result=SUCCESS):
    begun = decided()
    return decided(job_of(begun, result=result), status=begun)


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
def test_the_result_does_not_wait_for_the_log_which_comes_later(result):
    status = over(result)
    assert present(status.history)[0].log is None
    later = decided(job_of(status, PUSHED, result), status=status)
    assert present(later.history)[0].log == f"r.example/logs/team@{DIGEST}"
    assert later.model_copy(update={"history": status.history}) == status
    assert decided(job_of(later, PUSHED, result), status=later) == later


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (json.dumps({"digest": None, "problem": "denied"}), "denied"),
        (json.dumps({"digest": None, "problem": "a\x1b[2Jb"}), "a\\x1b[2Jb"),
        ("", UNKNOWN),
        ("no JSON", UNKNOWN),
        ("[]", UNKNOWN),
        (json.dumps({"digest": f"evil.example/x@{DIGEST}"}), UNKNOWN),
        (json.dumps({"digest": "sha256:short"}), UNKNOWN),
        (json.dumps({"digest": f"{DIGEST}\n"}), UNKNOWN),
        (json.dumps({"digest": "sha512:" + "0" * 128}), UNKNOWN),
        (json.dumps({"digest": DIGEST, "repository": "evil.example/x"}), UNKNOWN),
        (json.dumps({"problem": "x" * 2000}), UNKNOWN),
        (json.dumps({"digest": DIGEST}) + " " * 5000, UNKNOWN),
    ],
)
def test_a_forged_report_leads_nowhere(report, words):
    status = over()
    (entry,) = present(decided(job_of(status, report), status=status).history)
    assert (entry.log, entry.log_failure) == (None, words)


def test_a_gateway_that_goes_on_is_waited_for():
    status = over()
    assert decided(job_of(status), status=status) == status


def test_without_a_repository_nothing_is_told_of_logs():
    begun = decided(settings=SETTINGS)
    status = decided(job_of(begun), status=begun, settings=SETTINGS)
    later = decided(job_of(begun, PUSHED), status=status, settings=SETTINGS)
    assert [(each.log, each.log_failure) for each in present(later.history)] == [(None, None)]


def test_the_repository_is_the_one_that_the_run_was_started_with():
    status = over()
    moved = replace(KEEPING, log_repository=RepositoryTemplate("other.example/{namespace}"))
    later = decided(job_of(status, PUSHED), status=status, settings=moved)
    assert present(later.history)[0].log == f"r.example/logs/team@{DIGEST}"


def test_a_cancelled_run_has_a_log_too():
    begun = decided()
    going = run(job=present(begun.job), uid="uid-1", pod=pod(Running()))
    cancelled = decided(going, status=begun, cancel="now")
    ending = replace(
        going, deleting=True, pod=pod(ended("", exit_code=143), log_report=PUSHED, deleting=True)
    )
    later = decided(ending, status=cancelled, cancel="now")
    assert present(later.history)[0].log == f"r.example/logs/team@{DIGEST}"


@pytest.mark.parametrize("uid", ["uid-1", "forged"])
def test_of_an_earlier_run_only_its_own_job_tells(uid):
    begun = decided(run(job=present(decided().job), uid="uid-1", pod=pod(Running())), status=decided())
    going = run(job=present(begun.job), uid="uid-1", pod=pod(Running()))
    superseded = decided(going, status=begun, rerun="again")
    ending = job_of(begun, PUSHED, uid=uid, deleting=True)
    (entry,) = present(decided(ending, status=superseded, rerun="again").history)
    assert entry.reason == "Superseded"
    assert (entry.log is not None) is (uid == "uid-1")
