"""Rules of the cluster between the operator and a pod: one says no, another does not answer, a namespace ends."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.cluster.kubectl import KubectlError, apply, get, kubectl
from tests.e2e.builds import building, conditions, finished, manifest, ready, status_of, until
from tests.e2e.intrusions import cluster_wide
from tests.fixtures.servers.certificates import certificates
from tests.fixtures.servers.webhook import refusing_webhook

__all__ = ["certificates"]

QUICK = "FROM TINY\nRUN true\n"
RESOURCES = {"jobs": ("batch", "v1"), "pods": ("", "v1"), "configmaps": ("", "v1")}
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


@contextmanager
def kept(namespace):
    """Keep the ImageBuilds of a namespace from being deleted, and with them the namespace."""
    name = f"kept-{namespace}"
    rule = {
        "apiGroups": ["strake.dev"],
        "apiVersions": ["*"],
        "operations": ["DELETE"],
        "resources": ["imagebuilds"],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"namespaceSelector": selector, "resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "kept"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }

    def is_refused() -> bool:
        try:
            kubectl("delete", "ib", "app", "-n", namespace, "--dry-run=server")
        except KubectlError:
            return True
        return False

    with cluster_wide(policy, binding):
        until(is_refused, "the policy to be in force", lambda: "")
        yield


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
    with kept(ending):
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
