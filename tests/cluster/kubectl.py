"""kubectl, as tests and the demo use it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.cluster.lifecycle import environment
from tests.cluster.objects import ObjectError


class KubectlError(ObjectError):
    """kubectl ended with a status other than zero; the message is its standard error."""


def kubectl(*arguments: str, manifest: Any = None, text: str | None = None, timeout: float = 240) -> str:
    """Run kubectl against the test cluster and return its output.

    Args:
        *arguments: The command line.
        manifest: An object (or several) for standard input, with `-f -` among the arguments.
        text: Standard input, where that is YAML already.
        timeout: Seconds.

    Raises:
        KubectlError: It failed.
    """
    if manifest is not None:
        documents = manifest if isinstance(manifest, list) else [manifest]
        text = "\n---\n".join(json.dumps(each) for each in documents)
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment()},
    )
    if done.returncode:
        raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def get(*arguments: str) -> Any:
    """Return what `kubectl get … -o json` says."""
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def apply(manifest: Any, namespace: str = "default") -> None:
    """Apply an object or several."""
    kubectl("apply", "--namespace", namespace, "-f", "-", manifest=manifest)
