"""The chart on a real node: it takes over what kustomize installed, its test passes in a pod, an image is built, and it goes.

The rest about charts needs no kubelet: tests/e2e/scale/test_chart.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import KUBECONFIG, LOCKED_REGISTRY, REGISTRY
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, finished, manifest, registry_secret
from tests.helm.charts import CHART, helm

WAIT = "--timeout=300s"
"""What --wait waits: on a busy machine a pod starts late."""


@pytest.fixture
def values(platform, tmp_path) -> Path:
    """Values that say what the kustomization of the test cluster says."""
    images = {name: each.partition("@") for name, each in platform.images.items()}
    document = {
        "image": {"repository": images["operator"][0], "digest": images["operator"][2]},
        "builderImage": {"repository": images["builder"][0], "digest": images["builder"][2]},
        "settings": {"insecureRegistries": [REGISTRY], "leaseSeconds": 10},
        "registries": {
            "settings": {"registries": {LOCKED_REGISTRY: {"insecure": True, "insecureCredentials": True}}}
        },
        "replicas": 1,
    }
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(document))
    return file


def release(*words: str) -> str:
    """Run helm about the release; return its output."""
    done = helm(*words, f"--namespace={NAMESPACE}", kubeconfig=KUBECONFIG, major=4)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_release_takes_over_builds_and_leaves(platform, changing, namespace, values):
    with platform.replaced():
        kept = get("crd", "imagebuilds.strake.dev")["metadata"]["uid"]
        adopt = ["--install", "--take-ownership", "--force-conflicts", "--wait", WAIT]
        release("upgrade", "strake", str(CHART), f"--values={values}", *adopt)
        operator = get("deployment", "strake-operator", "-n", NAMESPACE)
        assert operator["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert operator["status"]["readyReplicas"] == 1
        assert "Phase:          Succeeded" in release("test", "strake", WAIT)

        registry_secret(namespace, "push")
        to = {"destinations": [f"{LOCKED_REGISTRY}/e2e/helm:1"]}
        status = build(
            namespace, "FROM TINY\nRUN echo hello >/motd\n", output=to, pushSecret={"name": "push"}
        )
        assert status["phase"] == "Succeeded", status

        release("uninstall", "strake", "--wait", WAIT)
        assert kubectl("get", "deployments,serviceaccounts", "-n", NAMESPACE, "-o=name").split() == [
            "serviceaccount/default"
        ]
        assert get("crd", "imagebuilds.strake.dev")["metadata"]["uid"] == kept
        assert get("imagebuild", "app", "-n", namespace)["status"]["phase"] == "Succeeded"
    apply(manifest("FROM TINY\nRUN echo again >/motd\n", name="again"), namespace)
    assert finished(namespace, name="again")["phase"] == "Succeeded", "kustomize's operator is back"
