"""The operator as a process of this machine, beside a control plane, and what it costs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.scale.control_plane import OPERATOR, ControlPlane, free_port, running
from tests.scale.processor import limited

if TYPE_CHECKING:
    import subprocess

_READY_SECONDS = 120
_BUILDER = f"registry.example/strake/builder@sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that runs.

    Attributes:
        process: Its process.
        log: What it wrote.
        metrics: URL of its numbers, beside which is its readiness.
        seconds: From its start to its being ready.
    """

    process: subprocess.Popen[bytes]
    log: Path
    metrics: str
    seconds: float

    @property
    def leads(self) -> bool:
        """Whether it says that it is the one that acts; one that does not answer does not."""
        try:
            with urllib.request.urlopen(self.metrics, timeout=5) as answer:
                return "\nstrake_leader 1.0\n" in answer.read().decode()
        except OSError:
            return False

    @property
    def peak(self) -> int:
        """The most memory that it had, in bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", self._read("status"))
        return int(found[1]) * 1024 if found else 0

    @property
    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _read(self, file: str) -> str:
        return Path(f"/proc/{self.process.pid}/{file}").read_text()


@contextlib.contextmanager
def operator(
    plane: ControlPlane,
    *,
    name: str = "operator",
    number: int = 0,
    sources: Path | None = None,
    processor: float | None = None,
    **settings: str,
) -> Iterator[Operator]:
    """Run an operator, which is ready; its log is in the control plane's directory.

    Args:
        plane: What it works for.
        name: Of its log.
        number: Which of those that run at a time.
        sources: The root of the tree whose operator it is; None for this one.
        processor: The share of one that it gets; None for all.
        **settings: Of its environment.

    Raises:
        TimeoutError: It was not ready in time.
    """
    metrics = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "KUBECONFIG": str(plane.operators[number]),
        "STRAKE_BUILDER_IMAGE": _BUILDER,
        "STRAKE_METRICS": metrics,
        # Started again it is as a container of the same pod, which does not wait for the end of the Lease.
        "STRAKE_IDENTITY": plane.operators[number].name,
        "STRAKE_LIVENESS": f"http://127.0.0.1:{free_port()}/healthz",
        **settings,
    }
    if sources is not None:
        environment["PYTHONPATH"] = os.pathsep.join(
            str(sources / each) for each in ("api", "oci", "operator")
        )
    begun = time.monotonic()
    log = plane.directory / f"{name}.log"
    with (
        running([sys.executable, "-m", "strake_operator.main"], log, environment) as process,
        limited(process.pid, processor),
    ):
        while not is_ready(f"http://{metrics}"):
            if process.poll() is not None or time.monotonic() - begun > _READY_SECONDS:
                raise TimeoutError(f"the operator was not ready: {log.read_text()[-3000:]}")
            time.sleep(0.05)  # between looks
        yield Operator(process, log, f"http://{metrics}/metrics", time.monotonic() - begun)


def is_ready(address: str) -> bool:
    """Return whether an operator says that it is ready."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the operator's, from the API server's audit log.

    Attributes:
        verb: As RBAC knows it: get, list, watch, create, patch, delete.
        resource: With its subresource: `pods/log`.
        namespace: Where; empty for all.
        name: Of the object; empty where the request names none.
        code: Of the answer.
        moment: When it came.
        by: The operator that made it.
    """

    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    moment: datetime
    by: str

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.verb not in {"get", "list", "watch"}


def requests(plane: ControlPlane) -> list[Request]:
    """Return all requests of the operator's but for those about its Lease; of a watch its beginning counts."""
    found: dict[str, Request] = {}
    with plane.audit.open() as log:
        for line in log:
            event = json.loads(line)
            if event["user"]["username"] == OPERATOR and (about := event.get("objectRef")):
                if about["resource"] == "leases":
                    continue
                found.setdefault(event["auditID"], _request(event, about))
    return list(found.values())


def _request(event: dict, about: dict) -> Request:
    parts = [about["resource"], about.get("subresource")]
    return Request(
        event["verb"],
        "/".join(part for part in parts if part),
        about.get("namespace", ""),
        about.get("name", ""),
        event.get("responseStatus", {}).get("code", 0),
        datetime.fromisoformat(event["requestReceivedTimestamp"]),
        event["user"].get("uid", ""),
    )


def by_kind(found: list[Request]) -> Counter[str]:
    """Return how many requests of each kind there are: `get imagebuilds`."""
    return Counter(f"{each.verb} {each.resource}" for each in found)
