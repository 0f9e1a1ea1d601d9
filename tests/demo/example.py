"""examples/hello on the test cluster: applied, watched, and its image run in a pod."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.cluster.kubectl import apply, get, kubectl
from tests.cluster.settings import REGISTRY
from tests.demo.installation import overlay
from tests.demo.own_images import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_IMAGE = f"{REGISTRY}/base:12"
BUILD_SECONDS = 300
NAMESPACE = "demo"
BASELINE = {
    "pod-security.kubernetes.io/enforce": "baseline",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
"""The namespace's labels: Kubernetes refuses there what an ordinary container would not ask for."""


class ExampleError(Exception):
    """The example's build failed or its image does not run; the message says which."""


def make_namespace() -> None:
    """Have a namespace that enforces Pod Security baseline."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": BASELINE}})


def apply_example() -> str:
    """Apply the example with the registry and base image of this cluster; return the command that does it."""
    patch = [
        {"op": "replace", "path": "/spec/args/0/value", "value": BASE_IMAGE},
        {"op": "replace", "path": "/spec/output/destinations/0", "value": f"{REGISTRY}/hello:1"},
    ]
    directory = overlay(
        "hello",
        ROOT / "examples/hello",
        {
            "namespace": NAMESPACE,
            "patches": [{"target": {"kind": "ImageBuild", "name": "hello"}, "patch": json.dumps(patch)}],
        },
    )
    # Applying it again would change nothing, and there would be nothing to watch.
    kubectl("delete", "imagebuild", "hello", "-n", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("apply", "-k", str(directory))
    return f"kubectl apply -k {directory}"


def watch(name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Show a build's progress until it ends; return its status.

    Raises:
        ExampleError: It failed, or did not end in time.
    """
    deadline = time.monotonic() + BUILD_SECONDS
    shown = ""
    while time.monotonic() < deadline:
        build = get("imagebuild", name, "-n", NAMESPACE)
        status = build.get("status", {})
        current = status.get("observedGeneration") == build["metadata"]["generation"]
        line = f"{status.get('phase', 'Pending'):9} {status.get('progress') or ''}".rstrip()
        if current and line != shown:
            say(line)
            shown = line
        if current and status.get("phase") == "Succeeded":
            return status
        if current and status.get("phase") == "Failed":
            raise ExampleError(f"the build failed: {status['failure']}")
        time.sleep(0.3)
    raise ExampleError(
        f"the build did not end within {BUILD_SECONDS} s; try: kubectl describe imagebuild {name} -n {NAMESPACE}"
    )


def run_image(image: str) -> str:
    """Run an image in a pod; return what it writes.

    Raises:
        ExampleError: It did not end well.
    """
    kubectl("delete", "pod", "hello", "-n", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl("run", "hello", f"--image={image}", "--restart=Never", "-n", NAMESPACE)
    ended = ["--for=jsonpath={.status.phase}=Succeeded", "--timeout=200s"]
    try:
        kubectl("wait", "pod/hello", "-n", NAMESPACE, *ended)
    except Exception as problem:
        described = kubectl("describe", "pod", "hello", "-n", NAMESPACE)
        raise ExampleError(f"the image does not run: {described[-1500:]}") from problem
    return kubectl("logs", "hello", "-n", NAMESPACE)
