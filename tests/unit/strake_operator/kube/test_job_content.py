"""What of a Job is compared: what it runs, and nothing that the API server gives to each Job of its own."""

from __future__ import annotations

import copy

import pytest

from strake_operator.kube.cluster import job_content
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from tests.unit.strake_operator.builders import SETTINGS, SPEC

MADE = builder_job(RunIdentity("team", "hello", "uid-1", 1, 1, "hello-1"), SPEC, SETTINGS)


def stored(uid: str, **spec):
    """Return a Job as the API server has it."""
    found = copy.deepcopy(MADE)
    given = {"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid, "job-name": uid}
    found["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    found["spec"]["template"]["metadata"]["labels"] |= given
    found["spec"] |= spec
    return found


def test_two_of_one_manifest_are_the_same():
    assert job_content(stored("a")) == job_content(stored("b", suspend=True))


def changed(change):
    found = stored("a")
    pod = found["spec"]["template"]["spec"]
    change(found["spec"], pod, pod["containers"][0])
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda spec, _pod, _container: spec.update(parallelism=2),
        lambda spec, _pod, _container: spec.update(activeDeadlineSeconds=9),
        lambda spec, _pod, _container: spec["template"]["metadata"]["labels"].update(more="x"),
        lambda spec, _pod, _container: spec["template"]["metadata"]["annotations"].update(more="x"),
        lambda _spec, pod, _container: pod.update(hostUsers=True),
        lambda _spec, pod, _container: pod.update(serviceAccountName="other"),
        lambda _spec, pod, _container: pod.update(initContainers=[{"name": "first", "image": "evil"}]),
        lambda _spec, pod, _container: pod["volumes"].append({"name": "more", "emptyDir": {}}),
        lambda _spec, _pod, container: container.update(image="evil"),
        lambda _spec, _pod, container: container.update(command=["sh"]),
        lambda _spec, _pod, container: container["args"].append("--more"),
        lambda _spec, _pod, container: container["env"].append({"name": "LD_PRELOAD", "value": "/evil"}),
    ],
)
def test_another_content_is_another_job(change):
    assert job_content(changed(change)) != job_content(stored("a"))


def test_the_digest_of_the_request_is_part_of_it():
    other = SPEC.model_copy(update={"dockerfile": "Other"})
    made = builder_job(RunIdentity("team", "hello", "uid-1", 1, 1, "hello-1"), other, SETTINGS)
    assert job_content(made) != job_content(MADE)
