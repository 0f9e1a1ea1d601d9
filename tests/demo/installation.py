"""Strake installed in the test cluster: `kubectl apply -k` of an overlay on deploy/."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from tests.cluster.kubectl import kubectl
from tests.cluster.settings import DIR, LOCKED_REGISTRY, REGISTRY
from tests.demo.own_images import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAMESPACE = "strake-system"
# On one node a second operator helps nobody. Without one, the old settings are out of force when the new are in.
# Whoever installs it waits until it is ready, and for no longer.
_ONE = json.dumps(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "strake-operator"},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "template": {
                "spec": {"containers": [{"name": "operator", "readinessProbe": {"periodSeconds": 1}}]}
            },
        },
    }
)
_OF_SETTINGS = re.compile(r"^kind: (ConfigMap|Deployment)$", re.MULTILINE)
_LOCKED = {"insecure": True, "insecureCredentials": True}
DEFAULT_REGISTRIES = {
    "registries.yaml": json.dumps({"registries": {LOCKED_REGISTRY: _LOCKED}})
}  # JSON is YAML
"""Files of the ConfigMap about registries where a test says nothing else."""


def overlay_directory(name: str) -> Path:
    """Return the directory of a kustomization, which is there then."""
    directory = DIR / "overlays" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def overlay(name: str, resources: Path, more: dict[str, Any]) -> Path:
    """Write a kustomization that changes what another directory of this tree describes; return its directory."""
    directory = overlay_directory(name)
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(resources, directory.resolve())],
        **more,
    }
    (directory / "kustomization.yaml").write_text(json.dumps(document, indent=2))
    return directory


def install(
    images: Mapping[str, str],
    *,
    registries: Mapping[str, str] | None = None,
    settings_alone: bool = False,
    **settings: str,
) -> Path:
    """Install CRD and operator, wait until the operator is ready; return the overlay's directory.

    Args:
        images: `repository@digest` of "builder" and "operator".
        registries: Files of the ConfigMap about registries, registries.yaml among them; None is the default.
        settings_alone: All else is installed already, and is not asked of the API server again.
        **settings: More of the operator's environment.
    """
    repository, _, digest = images["operator"].partition("@")
    environment = {
        "STRAKE_BUILDER_IMAGE": images["builder"],
        "STRAKE_INSECURE_REGISTRIES": REGISTRY,
        "STRAKE_LEASE_SECONDS": "10",
        **settings,
    }
    generated: list[dict[str, Any]] = [
        {
            "name": "strake-operator",
            "namespace": NAMESPACE,
            "behavior": "merge",
            "literals": [f"{name}={value}" for name, value in environment.items()],
        }
    ]
    files = DEFAULT_REGISTRIES if registries is None else registries
    folder = overlay_directory("strake")
    for name, content in files.items():
        (folder / name).write_text(content)
    generated.append(
        {"name": "strake-registries", "namespace": NAMESPACE, "behavior": "replace", "files": list(files)}
    )
    directory = overlay(
        "strake",
        ROOT / "deploy",
        {
            "images": [{"name": "registry.example/strake/operator", "newName": repository, "digest": digest}],
            "configMapGenerator": generated,
            "patches": [{"target": {"kind": "Deployment", "name": "strake-operator"}, "patch": _ONE}],
        },
    )
    if settings_alone:
        rendered = kubectl("kustomize", str(directory)).split("\n---\n")
        kubectl("apply", "-f", "-", text="\n---\n".join(filter(_OF_SETTINGS.search, rendered)))
    else:
        kubectl("apply", "-k", str(directory))
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/strake-operator", "--timeout=200s", timeout=240)
    return directory
