"""Kueue in the test cluster, installed by its own manifests, for the Jobs of one namespace."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError
from tests.cluster.requirements import go_command
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import until
from tests.fixtures.building import go_tools
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake

QUEUE = "kueue.x-k8s.io/queue-name"
_MODULE = Path(go_tools.__file__).parents[2] / "kueue"
_MANAGER = "kueue-controller-manager"
_NAMESPACE = "kueue-system"
_LEFT_OUT = {"APIService"}
"""Its API for pending workloads: a server behind the API server, without which that answers late once it is gone."""
_CONFIGURATION = """
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
health: {healthProbeBindAddress: ":8081"}
metrics: {bindAddress: ":8443"}
webhook: {port: 9443}
integrations: {frameworks: [batch/job]}
"""


@contextmanager
def kueue(namespace: str, directory: Path, pods: int) -> Iterator[None]:
    """Have Kueue with a LocalQueue `builds` in a namespace.

    Args:
        namespace: of the Jobs; Kueue's webhooks see no others.
        directory: an empty one.
        pods: how many of the queue may run at a time.
    """
    installation = directory / "kueue.yaml"
    installation.write_text(yaml.safe_dump_all(_objects(namespace, _image(directory))))
    queues = directory / "queues.yaml"
    queues.write_text(yaml.safe_dump_all(_queues(namespace, pods)))
    try:
        kubectl("apply", "--server-side", "-f", str(installation))
        kubectl("rollout", "status", f"deployment/{_MANAGER}", "-n", _NAMESPACE, "--timeout=200s")
        until(lambda: _applied(queues), "Kueue's webhooks", lambda: kubectl("get", "pods", "-n", _NAMESPACE))
        yield
    finally:
        # Kueue takes its finalizers from the queues, so it goes after them; Jobs have its Workloads.
        kubectl("delete", "jobs", "--all", "-n", namespace)
        kubectl("delete", "--ignore-not-found", "-f", str(queues))
        kubectl("delete", "--ignore-not-found", "-f", str(installation))


def _applied(queues: Path) -> bool:
    """Apply the queues; return whether Kueue was ready to admit them."""
    try:
        kubectl("apply", "-f", str(queues))
    except ObjectError as error:
        if "webhook" not in str(error):
            raise
        return False
    return True


def _image(directory: Path) -> str:
    """Build and push the manager's image; return its name."""
    context, name = directory / "context", f"{REGISTRY}/kueue/kueue:1"
    context.mkdir()
    shutil.copy(go_tools.kueue_manager(), context / "manager")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY manager /\nUSER 65532\n")
    words: list[str | Path] = [STRAKE, "build", "-c", context, "-d", name, "--work-dir", directory / "work"]
    done = run_strake([*words, "--insecure-registry", REGISTRY], None, 240)
    assert done.returncode == 0, done.stderr
    return name


def _objects(namespace: str, image: str) -> list[dict[str, Any]]:
    """Return what `kubectl apply -k` of Kueue's release installs, for one namespace and one kind of Job."""
    found = subprocess.run(
        [go_command(), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kueue"],
        cwd=_MODULE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    release = kubectl("kustomize", f"{found.stdout.strip()}/config/default")
    objects = [each for each in yaml.safe_load_all(release) if each and each["kind"] not in _LEFT_OUT]
    for each in objects:
        match each["kind"]:
            case "ConfigMap":
                each["data"]["controller_manager_config.yaml"] = _CONFIGURATION
            case "Deployment":
                pod = each["spec"]["template"]["spec"]
                pod["containers"][0] |= {"image": image, "resources": {}}
                pod["containers"][0]["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
            case "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration":
                each["webhooks"] = [hook for hook in each["webhooks"] if _is_needed(hook)]
                for hook in each["webhooks"]:
                    hook["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
            case _:
                pass
    return objects


def _is_needed(hook: dict[str, Any]) -> bool:
    groups = {group for rule in hook["rules"] for group in rule["apiGroups"]}
    return groups <= {"batch", "kueue.x-k8s.io"}


def _queues(namespace: str, pods: int) -> list[dict[str, Any]]:
    room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": pods}
    quotas = {
        "coveredResources": list(room),
        "flavors": [
            {
                "name": namespace,
                "resources": [{"name": name, "nominalQuota": most} for name, most in room.items()],
            }
        ],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return [
        _object("ResourceFlavor", namespace),
        {
            **_object("ClusterQueue", namespace),
            "spec": {"namespaceSelector": selector, "resourceGroups": [quotas]},
        },
        {
            **_object("LocalQueue", "builds", namespace=namespace),
            "spec": {"clusterQueue": namespace},
        },
    ]


def _object(kind: str, name: str, **metadata: str) -> dict[str, Any]:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": kind,
        "metadata": {"name": name, **metadata},
    }
