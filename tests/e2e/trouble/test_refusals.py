"""Rules of the cluster between the operator and a pod: one says no, another does not answer, a namespace ends."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, get
from tests.e2e.builds import building, conditions, finished, jobs, manifest, ready, status_of, until
from tests.e2e.intrusions import admission, cluster_wide, kept_builds
from tests.fixtures.servers.certificates import certificates
from tests.fixtures.servers.webhook import refusing_webhook

__all__ = ["certificates"]

QUICK = "FROM TINY\nRUN true\n"
RESOURCES = {"jobs": ("batch", "v1"), "pods": ("", "v1"), "configmaps": ("", "v1")}
NO_DELETION = "Jobs are kept for the auditors"
NO = "no builds on a Friday, whatever the timeout"
"""With a word that trouble of the API server has, too."""


def webhook(namespace, resource, client):
    """Return a webhook for what is made in a namespace.

    Args:
        resource: What it is asked about.
        client: How the API server reaches it.
    """
    group, version = RESOURCES[resource]
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE"],
        "resources": [resource],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"hook-{namespace}"},
        "webhooks": [
            {
                "name": "hook.strake.example",
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "clientConfig": client,
                "rules": [rule],
            }
        ],
    }


@pytest.mark.parametrize(
    ("resource", "code"),
    [("jobs", None), ("jobs", 409), ("pods", None), ("pods", 422), ("configmaps", 404)],
    ids=str,
)
def test_a_webhook_that_refuses_is_named_with_its_words(namespace, certificates, resource, code):
    """Whatever code it answers with, which is 400 where it gives none."""
    with (
        refusing_webhook(certificates, NO, code) as client,
        cluster_wide(webhook(namespace, resource, client)),
    ):
        apply(manifest(QUICK), namespace)
        failure = finished(namespace)["failure"]
    assert failure["reason"] == "PolicyDenied", failure
    assert f'admission webhook "hook.strake.example" denied the request: {NO}' in failure["message"]


@pytest.mark.parametrize("resource", ["jobs", "pods"])
def test_a_webhook_whose_service_does_not_exist_is_named_and_waited_for(namespace, resource):
    service = {"service": {"namespace": namespace, "name": "nowhere"}}
    with cluster_wide(webhook(namespace, resource, service)):
        apply(manifest(QUICK), namespace)
        building(namespace, "admission webhook hook.strake.example does not answer")
        status = status_of(namespace)
        assert ready(status)["reason"] == "ClusterUnavailable", status
        assert 'service "nowhere" not found' in ready(status)["message"]
        assert conditions(status)["Finished"] == "False"
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_rule_that_keeps_jobs_changes_no_result_and_is_told(namespace):
    rules = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [
                {
                    "apiGroups": ["batch"],
                    "apiVersions": ["v1"],
                    "operations": ["DELETE"],
                    "resources": ["jobs"],
                }
            ],
        },
        "validations": [{"expression": "false", "message": NO_DELETION}],
    }
    bound = {"validationActions": ["Deny"]}
    name = f"keeping-{namespace}"
    with cluster_wide(*admission("ValidatingAdmissionPolicy", namespace, name, rules, bound=bound)):
        until(lambda: NO_DELETION in refused_deletion(namespace), "the policy to be in force", lambda: "")
        apply(manifest(QUICK, retention={"ttlAfterSuccess": "0s"}), namespace)
        until(lambda: status_of(namespace).get("warnings"), "a warning", lambda: status_of(namespace))
        status = status_of(namespace)
        assert (status["phase"], ready(status)["status"]) == ("Succeeded", "True"), status
        assert "the cluster refuses to delete what is to end" in status["warnings"][0]
        assert NO_DELETION in status["warnings"][0]
    until(lambda: jobs(namespace) == [], "the Job's end", lambda: jobs(namespace))
    assert status_of(namespace)["phase"] == "Succeeded"


def refused_deletion(namespace):
    """Return why the API server does not delete a Job; "" where it does."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c"}]}}
    spec = {"suspend": True, "template": template}
    apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}, "spec": spec}, namespace)
    try:
        kubectl("delete", "job", "probe", "-n", namespace)
    except ObjectError as error:
        return str(error)
    return ""


@pytest.fixture
def ending(namespace):
    """A namespace of its own for a test that deletes it."""
    name = f"{namespace}-ends"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def test_nothing_starts_in_a_namespace_that_is_being_deleted(ending):
    apply(manifest(QUICK), ending)
    assert finished(ending)["phase"] == "Succeeded"
    with kept_builds(ending):
        kubectl("delete", "namespace", ending, "--wait=false")
        for ask in ("1", "2"):
            kubectl("annotate", "ib", "app", "-n", ending, "--overwrite", f"strake.dev/rerun={ask}")
            status = held_back(ending, ask)
            assert (status["phase"], status["attempts"]) == ("Pending", 0), status
        log = kubectl(
            "logs", "-n", "strake-system", "-l", "app.kubernetes.io/name=strake-operator", "--tail=-1"
        )
        about = [line for line in log.splitlines() if f"{ending}/app" in line and "starting Job" in line]
        assert len(about) <= 1 + 2 * 2, about
        assert "Traceback" not in log
    until(lambda: ending not in namespaces(), "the namespace's end", namespaces)


def held_back(namespace, ask):
    """Wait until the run that is asked for tells why it does not start; return the status."""
    words = f"namespace {namespace} is being deleted: nothing starts in it any more"

    def is_told() -> bool:
        status = status_of(namespace)
        return status.get("lastHandled", {}).get("rerun") == ask and status.get("progress") == words

    until(is_told, f"why the run that {ask} asks for does not start", lambda: status_of(namespace))
    return status_of(namespace)


def namespaces():
    return [each["metadata"]["name"] for each in get("namespaces")["items"]]
