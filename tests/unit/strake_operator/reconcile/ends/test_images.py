"""Images that a node does not get: which, where, why, and who can mend it."""

from __future__ import annotations

import pytest

from strake_api.reasons import FailureReason
from strake_operator.reconcile.ends.images import image_problem
from strake_operator.reconcile.observed import PodContainer, Waiting
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import pod, problem

OWN = PodContainer("builder", "r.example/strake/builder:1")
ADDED = PodContainer("istio-init", "r.example/istio:1")
PULL = 'Failed to pull image "r.example/strake/builder:1": not found'


def problem_of(reason, words="", *events, subject=OWN, node="n1"):
    state = Waiting(reason, words)
    return image_problem(pod(state, subject=subject, node=node), state, events)


@pytest.mark.parametrize(
    ("reason", "words", "temporary"),
    [
        ("ErrImagePull", "not found", True),
        ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: not found', True),
        ("RegistryUnavailable", "no route", True),
        ("InvalidImageName", "invalid reference format", False),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never", False),
        ("ImageInspectError", "corrupt", False),
        ("SignatureValidationFailed", "not signed", False),
    ],
)
def test_image_node_and_words_are_told(reason, words, temporary):
    found = present(problem_of(reason, words))
    assert (found.reason, found.temporary) == (FailureReason.INTERNAL_ERROR, temporary)
    assert found.message.startswith("the builder's own image r.example/strake/builder:1 ")
    assert words in found.message
    assert ("on node n1" in found.message) == (reason != "InvalidImageName")
    assert "have the platform team" in found.message


def test_what_happened_before_the_wait_for_the_next_pull_is_told():
    other = problem('Failed to pull image "r.example/other:1": gone', reason="Failed")
    words = present(problem_of("ImagePullBackOff", "Back-off", problem(PULL, reason="Failed"), other)).message
    assert PULL in words
    assert "Back-off; have" in present(problem_of("ImagePullBackOff", "Back-off", other)).message


def test_an_image_that_a_rule_added_is_not_the_builders():
    found = present(problem_of("ErrImagePull", "not found", subject=ADDED))
    assert found.message.startswith(
        "the image r.example/istio:1 of container istio-init, which a rule of the cluster added to the pod, cannot"
    )
    assert "STRAKE_BUILDER_IMAGE" not in found.message


def test_a_reason_without_words_and_without_a_node():
    found = present(problem_of("ErrImagePull", subject=PodContainer(), node=None))
    assert found.message.startswith("the builder's own image cannot be pulled: ErrImagePull; ")


@pytest.mark.parametrize("reason", ["ContainerCreating", "CreateContainerError", "CrashLoopBackOff", ""])
def test_other_waits_are_about_something_else(reason):
    assert problem_of(reason) is None
