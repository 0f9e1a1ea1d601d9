"""ImageBuilds for tests: made, watched, and what is left of them."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, read
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY, LOCKED_USER, REGISTRY
from tests.e2e.conftest import TINY
from tests.images.push import push_image

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 240
UID = "strake.dev/uid"


def manifest(content: str, /, *, name: str = "app", **spec: Any) -> dict[str, Any]:
    """Return an ImageBuild with an inline context; TINY stands for the base image."""
    source = {"inline": {"Dockerfile": content.replace("TINY", TINY)}}
    output = {"destinations": [f"{REGISTRY}/e2e/{name}:1"]}
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": name},
        "spec": {"source": source, "output": output, "timeout": "3m", **spec},
    }


def gated(namespace: str) -> tuple[str, Callable[[], object]]:
    """Return a Dockerfile whose step goes on when the test has opened the gate, and what opens it."""
    tags = f"http://{REGISTRY}/v2/gates/{namespace}/tags/list"
    text = f"FROM TINY\nRUN until wget -qO- {tags}; do sleep 0.2; done\n"
    return text, lambda: push_image("pause", f"{REGISTRY}/gates/{namespace}:1")


def build(namespace: str, content: str, /, **spec: Any) -> dict[str, Any]:
    """Apply an ImageBuild and wait for its end; return its status."""
    apply(manifest(content, **spec), namespace)
    return finished(namespace)


def finished(namespace: str, generation: int = 1, name: str = "app") -> dict[str, Any]:
    """Wait until a generation's run ended, in whichever way; return the status."""

    def ended() -> bool:
        status = status_of(namespace, name)
        return status.get("observedGeneration") == generation and conditions(status).get("Finished") == "True"

    until(ended, f"the end of generation {generation}", lambda: status_of(namespace, name))
    return status_of(namespace, name)


def ask_for_rerun(namespace: str, name: str = "app") -> None:
    """Ask for another run, and wait until the operator has taken note.

    Asks that follow each other faster than it writes the status keep it from writing.
    """
    ask = secrets.token_hex(4)
    kubectl("annotate", "ib", name, "-n", namespace, "--overwrite", f"strake.dev/rerun={ask}")
    until(
        lambda: status_of(namespace, name).get("lastHandled", {}).get("rerun") == ask,
        f"the rerun that {ask} asks for",
        lambda: status_of(namespace, name),
    )


def building(namespace: str, needle: str, name: str = "app") -> dict[str, Any]:
    """Wait until the build shows a step; return the status."""
    until(
        lambda: needle in status_of(namespace, name).get("progress", ""),
        f"progress with {needle!r}",
        lambda: status_of(namespace, name),
    )
    return status_of(namespace, name)


def status_of(namespace: str, name: str = "app") -> dict[str, Any]:
    return read("imagebuilds", namespace, name).get("status", {})


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status.get("conditions", [])}


def ready(status: dict[str, Any]) -> dict[str, str]:
    """Return the condition Ready; an empty one before there is any."""
    return next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})


def pods(namespace: str) -> list[str]:
    """Return the names of the builder pods."""
    return [each["metadata"]["name"] for each in read("pods", namespace, labels=UID)["items"]]


def jobs(namespace: str) -> list[str]:
    return [each["metadata"]["name"] for each in read("jobs", namespace, labels=UID)["items"]]


def run_image(namespace: str, image: str, *command: str) -> str:
    """Run an image in a pod, or a command in it; return what it writes."""
    words = ["--command", "--", *command] if command else []
    kubectl("run", "it", f"--image={image}", "--restart=Never", "-n", namespace, *words)
    kubectl("wait", "pod/it", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=200s", "-n", namespace)
    return kubectl("logs", "it", "-n", namespace)


def until(holds: Callable[[], object], what: str, look: Callable[[], Any]) -> None:
    """Wait for something.

    Raises:
        TimeoutError: It did not come; the message shows what was there instead.
    """
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {SECONDS} s for {what}; there is {json.dumps(look(), indent=1)}")
        time.sleep(0.15)  # between looks, each of which the API server answers


def registry_secret(namespace: str, name: str) -> None:
    """Make credentials for the locked registry."""
    kubectl(
        "create", "secret", "docker-registry", name, "-n", namespace, f"--docker-server={LOCKED_REGISTRY}",
        f"--docker-username={LOCKED_USER}", f"--docker-password={LOCKED_PASSWORD}",
    )  # fmt: skip
