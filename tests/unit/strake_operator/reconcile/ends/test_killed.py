"""Containers that the kernel killed something in for lack of memory: the limit, whose it is, and what to change."""

from __future__ import annotations

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.reconcile.ends.outcome import outcome
from strake_operator.reconcile.observed import PodContainer
from tests.fixtures.narrow import instance
from tests.unit.strake_operator.builders import FAILURE, SPEC, SUCCESS, ended, pod, run

LIMITED = PodContainer("builder", "strake/builder", "512Mi")
ASKED = SPEC.model_validate({**SPEC.to_dict(), "resources": {"limits": {"memory": "512Mi"}}})
TOLD = BuildFailed(
    reason=FailureReason.OUT_OF_MEMORY,
    message="the command make was killed for lack of memory",
    line=3,
    exit_code=137,
)


def killed(message="", *, exit_code=137, spec=SPEC, subject=LIMITED):
    state = ended(message, exit_code=exit_code, reason="OOMKilled")
    return instance(outcome(run(pod=pod(state, subject=subject, node="n1")), spec), BuildFailed)


@pytest.mark.parametrize(
    ("spec", "subject", "words"),
    [
        (
            ASKED,
            LIMITED,
            "container builder used all of its limit of 512Mi: raise spec.resources.limits.memory",
        ),
        (SPEC, LIMITED, "its limit of 512Mi, which the platform gives where the spec has none: raise"),
        (SPEC, PodContainer("source", None, "1Gi"), "container source used all of its limit of 1Gi"),
        (
            SPEC,
            PodContainer(),
            "node n1 ran out, and container builder has no limit of its own: set spec.resources",
        ),
    ],
    ids=["of the spec", "of the platform", "what fetches the source", "of nobody"],
)
def test_the_limit_is_named_and_whose_it_is(spec, subject, words):
    failure = killed(spec=spec, subject=subject)
    assert failure.reason is FailureReason.OUT_OF_MEMORY
    assert failure.message.startswith("the builder was killed for lack of memory: ")
    assert words in failure.message


def test_the_last_lines_are_kept():
    assert killed("#3 | cc1plus a.cc\n#3 | cc1plus b.cc\n").log_tail == (
        "#3 | cc1plus a.cc",
        "#3 | cc1plus b.cc",
    )


def test_a_builder_that_lived_on_tells_more_itself():
    """The reason of the container is OOMKilled where the kernel killed anything in it."""
    assert killed(TOLD.to_json(), exit_code=12) == TOLD
    assert killed(FAILURE.to_json(), exit_code=7) == FAILURE


def test_what_the_builder_did_not_understand_is_lack_of_memory():
    broken = BuildFailed(reason=FailureReason.INTERNAL_ERROR, message="crun ended without a status")
    failure = killed(broken.to_json(), exit_code=1)
    assert failure.reason is FailureReason.OUT_OF_MEMORY
    assert failure.message.endswith("The builder wrote before: crun ended without a status")
    assert killed(FAILURE.to_json()).reason is FailureReason.OUT_OF_MEMORY


def test_an_image_that_is_pushed_is_pushed():
    state = ended(SUCCESS.to_json(), exit_code=137, reason="OOMKilled")
    assert outcome(run(pod=pod(state, subject=LIMITED)), SPEC) == SUCCESS
