"""The pods of pipelines: how they are made, watched and spoken to, and what every tool's pod needs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.e2e.builds import until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NAME = "job"
SH = "/busybox/sh"
FILES = "/files"
"""Where the files of the build's context come from, for what brings them as the tool does."""


@dataclass(frozen=True)
class Pipeline:
    """Where the pods of a tool are made.

    Attributes:
        namespace: of theirs.
        host: of the registry.
        builder: the image, as the cluster pulls it.
        debug: the image with a shell.
    """

    namespace: str
    host: str
    builder: str
    debug: str

    def example(self, name: str) -> Any:
        """Read a file of `examples/`, with this registry and the images of this version."""
        text = (EXAMPLES / name).read_text()
        return json.loads(json.dumps(yaml.safe_load(text)), object_hook=self._with_image)

    def _with_image(self, found: dict[str, Any]) -> dict[str, Any]:
        return {key: self._own(value) if isinstance(value, str) else value for key, value in found.items()}

    def _own(self, text: str) -> str:
        if not text.startswith("registry.example/strake/builder:"):
            return text
        return self.debug if text.endswith("-debug") else self.builder

    def run(self, spec: dict[str, Any]) -> None:
        """Make the pod; its volumes, and the CA of the registry in each container, are added."""
        for each in spec["containers"]:
            each.setdefault("volumeMounts", []).append({"name": "ca", "mountPath": "/kaniko/ssl/certs"})
        for each in spec.get("initContainers", ()):
            each.setdefault("volumeMounts", []).append({"name": "files", "mountPath": FILES})
        ours = [
            {"name": "ca", "configMap": {"name": "ca"}},
            {"name": "files", "configMap": {"name": "files"}},
        ]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}}
        # As where kubelets have `seccompDefault`: no namespaces, so that steps run at the container's root.
        confined = {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}
        pod["spec"] = {"restartPolicy": "Never", **confined, **spec, "volumes": [*spec["volumes"], *ours]}
        apply(pod, self.namespace)

    def ended(self) -> dict[str, Any]:
        """Wait until the pod ended, and well; return its status."""

        def status() -> dict[str, Any]:
            found: dict[str, Any] = get("pod", NAME, "-n", self.namespace)["status"]
            return found

        until(lambda: status()["phase"] in {"Succeeded", "Failed"}, "the end of the pod", status)
        log = kubectl("logs", NAME, "--all-containers", "-n", self.namespace)
        assert status()["phase"] == "Succeeded", log
        return status()

    def ready(self) -> None:
        """Wait until the containers of the pod run."""
        ready = "--for=condition=Ready"
        kubectl("wait", f"pod/{NAME}", ready, "-n", self.namespace, "--timeout=300s", timeout=320)

    def execute(self, container: str, *command: str, text: str | None = None) -> str:
        """Run a command in a container of the pod, as tools do that send scripts; return its output."""
        words = ("exec", "-i", NAME, "-c", container, "-n", self.namespace, "--", *command)
        return kubectl(*words, text=text or "", timeout=300)


def filled(value: Any, pattern: str, values: dict[str, str]) -> Any:
    """Return a document with its placeholders replaced: every one has a value."""
    if isinstance(value, str):
        return re.sub(pattern, lambda found: values[found[1].strip()], value)
    if isinstance(value, list):
        return [filled(each, pattern, values) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, pattern, values) for key, each in value.items()}
    return value


def empty(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "emptyDir": {}} for name in names]


def mount(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


def bringing(pipeline: Pipeline, name: str, script: str, *mounts: dict[str, Any]) -> dict[str, Any]:
    """Return an init container that runs a script; `/busybox/busybox` is a static program."""
    command = [SH, "-ec", script]
    return {"name": name, "image": pipeline.debug, "command": command, "volumeMounts": list(mounts)}
