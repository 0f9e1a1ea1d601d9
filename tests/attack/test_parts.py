"""Jobs that others make beside the parts of a run, and results that steps write: no image comes from them.

Each attack is shown to succeed against an operator that goes by less.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from strake_api.result import BuildSucceeded, ResolvedSource
from strake_api.status import SourceStatus
from strake_operator.kube.watched import Watched
from strake_operator.names import job_name
from strake_operator.parts import part_label
from strake_operator.reconcile import origin
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun
from strake_operator.reconcile.ends import outcome
from strake_operator.reconcile.observed import Observation
from tests.attack.test_objects import EVIL, Object, job, pod, result
from tests.unit.strake_operator.builders import NOW, SETTINGS, build
from tests.unit.strake_operator.reconcile.parts.several import (
    AMD64,
    ARM64,
    FIXED,
    SEVERAL,
    entry,
    parts_of,
    status_with,
)

PUSHED = (entry(AMD64, "Succeeded"), entry(ARM64, "Succeeded"))


def job_of(part: str, uid: str, attempt: int = 1) -> Object:
    """Return a Job with the name, the labels and the owner of a part's."""
    label = part_label(part)
    made = job(job_name("hello", "uid-1", 1, attempt, part=label), uid, attempt=str(attempt))
    made["metadata"]["labels"]["strake.dev/part"] = label
    return made


def decided(*objects: tuple[Object, str | None], status: Any, spec=FIXED):
    """Decide about a build of which the cluster has Jobs, each with what its pod wrote."""
    known, seen = Watched(), build(status, spec=spec)
    for each, message in objects:
        known.job(each)
        known.pod(pod(each, message=message))
    runs, strays = origin.sort_out(known.runs(seen), seen, set())
    return decide(Observation(seen, runs, None, strays=strays), SETTINGS, NOW)


def of_index():
    """Somebody took the name of the Job that makes the index, before it was made."""
    return decided((job_of("index", "evil"), result()), status=status_with(*PUSHED, spec=FIXED))


def of_platform():
    """Somebody made a later attempt of a platform's Job."""
    own, forged = job_of(ARM64, "uid-linux-arm64"), job_of(ARM64, "evil", attempt=9)
    status = status_with(entry(AMD64, "Succeeded"), entry(ARM64), spec=FIXED)
    return decided((own, None), (forged, result()), status=status)


@pytest.mark.parametrize("attack", [of_index, of_platform])
def test_a_job_of_a_parts_name_tells_nothing(attack):
    decision = attack()
    assert decision.status.digest is None
    assert EVIL not in {each.digest for each in decision.status.parts or ()}
    if attack is of_index:
        # The name is taken: the API server says so, and the run fails.
        assert any(isinstance(each, StartRun) for each in decision.actions)


@pytest.mark.parametrize("attack", [of_index, of_platform])
def test_it_does_where_a_name_is_proof(attack, monkeypatch):
    monkeypatch.setattr(origin, "_is_on_status", lambda *_: True)
    decision = attack()
    assert EVIL in {decision.status.digest, *(each.digest for each in decision.status.parts or ())}


OTHER_COMMIT = "f" * 40
FOREIGN = result(images=[f"evil.example/app@{EVIL}"])


def test_a_forged_result_of_a_platform_names_no_image_elsewhere(monkeypatch):
    own = job_of(ARM64, "uid-linux-arm64")
    status = status_with(entry(AMD64, "Succeeded"), entry(ARM64), spec=FIXED)
    failed = decided((own, FOREIGN), status=status).status
    assert failed.phase == "Failed"
    assert parts_of(failed)[ARM64].digest is None
    monkeypatch.setattr(outcome, "_foreign_image", lambda *_: None)
    assert parts_of(decided((own, FOREIGN), status=status).status)[ARM64].digest == EVIL


def test_a_platform_does_not_say_what_the_others_are_built_from():
    """A step of one platform writes another commit as the result: only the part `source` is asked."""
    other = BuildSucceeded(
        digest=EVIL, sources=(ResolvedSource(revision=OTHER_COMMIT),), source_revision=OTHER_COMMIT
    )
    own = job_of(AMD64, "uid-linux-amd64")
    status = status_with(entry("source", "Succeeded"), entry(AMD64), entry(ARM64, "Succeeded"))
    status = status.model_copy(update={"source": SourceStatus(revision="c" * 40)})
    ended = decided((own, json.dumps(other.to_dict())), status=status, spec=SEVERAL).status
    assert ended.source == status.source
    assert [each.revision for each in parts_of(ended)["source"].sources or ()] == ["c" * 40]
    started = decided(status=ended, spec=SEVERAL)
    (start,) = [each for each in started.actions if isinstance(each, StartRun)]
    assert OTHER_COMMIT not in repr(start.part), "nor the tag"
