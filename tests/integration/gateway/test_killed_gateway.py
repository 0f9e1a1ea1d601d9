"""A gateway that is killed at any moment is started again, as the kubelet does: the right image, or a clear failure."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.gateway import running_gateway
from tests.integration.gateway.conftest import PASSWORD, Pod

KILLS = int(os.environ.get("STRAKE_GATEWAY_KILLS", "6"))
"""Fifty of them take some minutes: STRAKE_GATEWAY_KILLS=50."""
STEPS = (
    "FROM {base}\nRUN seq 1 400000 > /one\nRUN seq 1 900000 > /two\nCOPY --from={base} /bin/busybox /three\n"
)
CLEAR = {"PushFailed", "BaseImagePullFailed", "Unsupported"}


class Supervised:
    """A gateway that is there again after each of its ends."""

    def __init__(self, request: Path, directory: Path) -> None:
        self._request, self._directory = request, directory
        self._ended, self._running = threading.Event(), threading.Event()
        self.pid = 0
        self._thread = threading.Thread(target=self._keep)

    def _keep(self) -> None:
        while not self._ended.is_set():
            with running_gateway(self._request, self._directory) as gateway:
                self.pid = gateway.process.pid
                self._running.set()
                while not self._ended.is_set() and gateway.process.poll() is None:
                    self._ended.wait(0.01)  # between two looks

    def __enter__(self) -> Supervised:
        self._thread.start()
        assert self._running.wait(180)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def execute(pod: Pod, supervised: Supervised, moment: float | None) -> dict:
    """Build, and kill the gateway once in the middle; return the result."""
    result = pod.directory / "result.json"
    words: list[str | Path] = [STRAKE, "execute", "--request", pod.path, "--result", result]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if moment is not None:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.kill(supervised.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    assert PASSWORD not in output
    assert "Traceback" not in output
    return json.loads(result.read_text())


@pytest.mark.timeout(900)
def test_a_kill_at_any_moment_gives_the_right_image_or_a_clear_failure(pod: Pod) -> None:
    form = {"destinations": [f"{pod.repository}:1"], "reproducible": True}
    pod.write(STEPS, output=form)
    with Supervised(pod.path, pod.directory) as supervised:
        wanted = execute(pod, supervised, None)["digest"]
    ends = []
    for number in range(KILLS):
        form["destinations"] = [f"{pod.repository}/{number}:1"]
        pod.write(STEPS, output=form)
        with Supervised(pod.path, pod.directory) as supervised:
            result = execute(pod, supervised, random.uniform(0.0, 3.0))
        ends.append(result["outcome"])
        if result["outcome"] == "Succeeded":
            assert result["digest"] == wanted
        else:
            assert result["reason"] in CLEAR, result
    assert "Succeeded" in ends
