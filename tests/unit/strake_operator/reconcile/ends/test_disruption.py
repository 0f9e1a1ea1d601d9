"""Pods that the infrastructure took away: what was short or who did it, and what helps."""

from __future__ import annotations

import pytest

from strake_api.reasons import RETRYABLE, FailureReason
from strake_operator.reconcile.ends.disruption import node_silent, taken_away
from tests.unit.strake_operator.builders import pod

LOW = "The node was low on resource: {}. Threshold quantity: 100Mi, available: 80Mi. Container builder was using 3Gi."
REQUESTS = "raise spec.resources.requests"


def message(words, word="Evicted", node="n1"):
    failure = taken_away(pod(phase="Failed", disrupted=words, disruption=word, node=node))
    assert failure.reason is FailureReason.EVICTED
    return failure.message


@pytest.mark.parametrize(
    ("resource", "helps"),
    [
        ("memory", f"{REQUESTS}.memory"),
        ("ephemeral-storage", f"{REQUESTS}.ephemeral-storage"),
        ("inodes", "make fewer in the build, or give it a disk of its own with spec.pod.workspace"),
        ("pids", "start fewer at a time"),
    ],
)
def test_the_resource_that_a_node_was_low_on_is_named_with_what_helps(resource, helps):
    words = LOW.format(resource)
    told = message(words)
    assert told.startswith(f"the builder pod was taken away: node n1 was low on {resource}: {words[:20]}")
    assert helps in told
    assert "its node was low on" in message(words, node=None)


@pytest.mark.parametrize(
    ("words", "resources"),
    [
        ("The node had condition: [MemoryPressure]. ", "memory"),
        ("The node had condition: [DiskPressure PIDPressure]. ", "ephemeral-storage and pids"),
        ("The node had condition: [Strange]. ", None),
        ("The node was low on resource: hugepages. ", "hugepages"),
    ],
)
def test_a_node_that_takes_no_pod_for_what_it_was_low_on(words, resources):
    assert (f"node n1 was low on {resources}" in message(words)) == (resources is not None)
    assert words.strip(". ") in message(words)


@pytest.mark.parametrize(
    ("word", "words", "happened"),
    [
        (
            "PreemptionByScheduler",
            "default-scheduler: preempting",
            "a pod of higher priority needed its place: ",
        ),
        (
            "Preempting",
            "Preempted in order to admit critical pod",
            "a pod of higher priority needed its place: ",
        ),
        (
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
            "somebody had it evicted, as `kubectl drain` does: ",
        ),
        (
            "DeletionByTaintManager",
            "Taint manager: deleting",
            "node n1 got a taint that it does not tolerate",
        ),
        ("DeletionByPodGC", "PodGC: node no longer exists", "node n1 is gone from the cluster: "),
        (
            "Terminated",
            "Pod was terminated in response to imminent node shutdown.",
            "node n1 is shutting down: ",
        ),
        (
            "OutOfcpu",
            "OutOfcpu: Node didn't have enough resource",
            "node n1 had too little cpu left for it: ",
        ),
        (
            "OutOfpods",
            "OutOfpods: Node didn't have enough resource",
            "node n1 had too little pods left for it: ",
        ),
        ("UnexpectedAdmissionError", "UnexpectedAdmissionError: no", "UnexpectedAdmissionError: no"),
    ],
)
def test_who_took_the_pod_away(word, words, happened):
    told = message(words, word)
    assert told.startswith(f"the builder pod was taken away: {happened}")
    assert told.endswith(words)


@pytest.mark.parametrize(
    "words",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 100Mi. ",
        'Container builder exceeded its local ephemeral storage limit "100Mi". ',
        'Usage of EmptyDir volume "work" exceeds the limit "1Gi". ',
    ],
)
def test_a_disk_limit_of_its_own_is_no_eviction(words):
    result = taken_away(pod(phase="Failed", disrupted=words, disruption="Evicted"))
    assert result.reason is FailureReason.OUT_OF_DISK
    assert words.strip() in result.message
    assert "Raise spec.resources.limits.ephemeral-storage" in result.message
    assert ("spec.pod.workspace.sizeLimit" in result.message) == ("EmptyDir" in words)
    assert result.reason not in RETRYABLE, "it would happen again"


def test_a_node_that_does_not_answer_is_named():
    assert node_silent("n1").message.endswith(
        "node n1 does not answer any more: see `kubectl describe node n1`"
    )
    assert node_silent(None).message.endswith("its node does not answer any more")
