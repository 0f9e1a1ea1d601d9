"""`kubectl strake` beside an API server that is only its API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strake_kubectl.main import run
from tests.fixtures.servers.api_server import ApiServer, running_api_server

Object = dict[str, Any]
DIGEST = f"sha256:{'d' * 64}"
IMAGE = f"r.example/team/api@{DIGEST}"
MOMENT = "2026-11-29T10:00:00Z"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def api():
    with running_api_server() as running:
        yield running


@pytest.fixture
def strake(api: ApiServer, tmp_path, capsys, monkeypatch) -> Callable[..., Done]:
    """Run a command with a kubeconfig for the server."""
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))

    def ran(*words: str) -> Done:
        code = run(words, "kubectl strake")
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return ran


def condition(kind: str, value: str, reason: str, message: str = "") -> Object:
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastTransitionTime": MOMENT,
    }


def imagebuild(name: str = "api", *, annotations: dict[str, str] | None = None, **status: Any) -> Object:
    """Return an ImageBuild whose operator has acted on all of it."""
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "generation": 2,
            "creationTimestamp": MOMENT,
            "resourceVersion": "1",
            "annotations": annotations or {},
        },
        "spec": {
            "source": {"git": {"url": "https://git.example/api", "ref": "main"}},
            "output": {"destinations": ["r.example/team/api:1"]},
        },
        "status": {
            "observedGeneration": 2,
            "run": {"number": 3, "generation": 2, "trigger": "Spec"},
            **status,
        },
    }


def succeeded(name: str = "api", **status: Any) -> Object:
    ended = {"phase": "Succeeded", "image": IMAGE, "digest": DIGEST, "duration": "42s"}
    conditions = [
        condition("Ready", "True", "Pushed", "the image is pushed"),
        condition("Finished", "True", "Pushed"),
    ]
    return imagebuild(name, **{**ended, "conditions": conditions, **status})


def failed(
    name: str = "api", reason: str = "RunStepFailed", message: str = "it ended with 2", **status: Any
) -> Object:
    conditions = [condition("Ready", "False", reason, message), condition("Finished", "True", reason)]
    return imagebuild(name, **{"phase": "Failed", "conditions": conditions, **status})


def building(name: str = "api", **status: Any) -> Object:
    conditions = [
        condition("Ready", "Unknown", "Building", "step 2 of 5"),
        condition("Finished", "False", "Building"),
    ]
    steps = {"total": 5, "done": 2, "cached": 1}
    return imagebuild(name, **{"phase": "Building", "conditions": conditions, "steps": steps, **status})


def pod(
    name: str, run: int = 3, *, state: str = "terminated", created: str = MOMENT, part: str = ""
) -> Object:
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "creationTimestamp": created,
            "labels": {
                "strake.dev/uid": "uid-api",
                "strake.dev/run": str(run),
                **({"strake.dev/part": part} if part else {}),
            },
        },
        "status": {"containerStatuses": [{"name": "builder", "state": {state: {}}}]},
    }
