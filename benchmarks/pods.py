"""Builds in a row on one node of the test cluster: what a person waits for after `kubectl apply`.

    .venv/bin/python -m benchmarks.pods [--builds 8] [--memory]

The base is Debian (72 MB packed); every build makes other files than the ones before and has no cache. Each
ImageBuild, with its pod, is deleted before the next is applied. Once the builder pulls and unpacks the base,
once the node has it and the pod mounts it (STRAKE_BASE_IMAGES). Taken apart by the timestamps of the pod's
log and by what the API server says:

    step     from apply to the first line about a step: operator, scheduler, kubelet, start, manifests
    digest   from apply to Finished on the ImageBuild

Needs what the test cluster needs (`python -m tests.setup`); the cluster is stopped at the end if it was not
running. `--memory` has all files of the cluster in memory, so that a slow disk does not hide the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.cluster.kubectl import apply, kubectl
from tests.cluster.lifecycle import down, is_up, up
from tests.cluster.objects import ObjectError, read
from tests.cluster.settings import DIR, REGISTRY
from tests.demo.installation import install
from tests.demo.own_images import own_images
from tests.images.push import push_image

NAMESPACE = "bench"
_BASE = f"{REGISTRY}/bench/debian"
_LIMIT = 300.0
_HEADING = """\
| case | base | to the first step, s | to the digest, s | each, s | all, s |
|---|---|---|---|---|---|"""
CASES = {
    "three RUN": "RUN echo {word} > /1\nRUN echo {word} > /2\nENV A=b\nRUN echo {word} > /3\n",
    "one RUN": "RUN echo {word} > /1\n",
    "COPY alone": "COPY Dockerfile /{word}\n",
}


@dataclass(frozen=True)
class Took:
    """Seconds from `kubectl apply`.

    Attributes:
        step: to the first line about a step.
        digest: to the ImageBuild's condition Finished.
        log: the builder's, each line with its time.
    """

    step: float
    digest: float
    log: str


def build(dockerfile: str, number: int, **spec: object) -> Took:
    """Apply an ImageBuild, wait for its image, and delete it.

    Args:
        dockerfile: what is built.
        number: of the build, for its name and tag.
        spec: more fields of the ImageBuild.

    Raises:
        RuntimeError: it failed, or took too long; with the status.
    """
    name = f"b{number}"
    manifest = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "source": {"inline": {"Dockerfile": dockerfile}},
            "output": {"destinations": [f"{REGISTRY}/bench/out:{number}"]},
            **spec,
        },
    }
    began, clock = datetime.now(UTC), time.monotonic()
    apply(manifest, NAMESPACE)
    status = _finished(name)
    digest = time.monotonic() - clock
    if status.get("phase") != "Succeeded":
        raise RuntimeError(f"{name} failed: {status}")
    log = kubectl("logs", f"job/{status['job']}", "-n", NAMESPACE, "--timestamps")
    step = _first_step(log) - began
    kubectl("delete", "imagebuild", name, "-n", NAMESPACE)
    _gone(status["job"])
    return Took(step.total_seconds(), digest, log)


def _finished(name: str) -> dict[str, str]:
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        status = read("imagebuilds", NAMESPACE, name).get("status", {})
        finished = [each for each in status.get("conditions", []) if each["type"] == "Finished"]
        if finished and finished[0]["status"] == "True":
            return status  # type: ignore[no-any-return] # JSON of the API server
        time.sleep(0.02)  # the precision of the measurement
    raise RuntimeError(f"{name} did not end within {_LIMIT:.0f} s")


def _first_step(log: str) -> datetime:
    for line in log.splitlines():
        moment, _, text = line.partition(" ")
        if text.startswith("#1/"):
            return datetime.fromisoformat(f"{moment[:26].rstrip('Z')}+00:00")
    raise RuntimeError(f"the log tells of no step: {log}")


def _gone(job: str) -> None:
    """Wait until no pod of a build is left: the next build has the node for itself."""
    while read("pods", NAMESPACE, labels=f"job-name={job}")["items"]:
        time.sleep(0.05)  # between two looks


@contextlib.contextmanager
def cluster(*, in_memory: bool) -> Iterator[None]:
    """Have the test cluster; one that this started ends with the context."""
    if is_up():
        yield
        return
    if in_memory:
        DIR.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "strake-bench", DIR], check=True)
    up()
    try:
        yield
    finally:
        down()
        if in_memory:
            subprocess.run(["umount", DIR], check=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, default=8, metavar="N", help="in a row (default: 8)")
    parser.add_argument("--memory", action="store_true", help="the cluster's files are in memory")
    options = parser.parse_args()
    with cluster(in_memory=options.memory):
        images = own_images(lambda _: None)
        digest = push_image("base", f"{_BASE}:12")
        with contextlib.suppress(ObjectError):
            kubectl("create", "namespace", NAMESPACE)
        print(_HEADING)
        number = 0
        for base, listed in (("pulled", ""), ("on the node", f"{_BASE}@{digest}")):
            volumes = "auto" if listed else "off"
            install(images, STRAKE_BASE_IMAGES=listed, STRAKE_BASE_VOLUMES=volumes)
            for title, steps in CASES.items():
                began, took = time.monotonic(), list[Took]()
                for _ in range(options.builds):
                    number += 1
                    word = f"{time.time_ns()}"
                    took.append(build(f"FROM {_BASE}:12\n{steps.format(word=word)}", number))
                print(_row(title, base, took, time.monotonic() - began), flush=True)
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _row(title: str, base: str, took: list[Took], whole: float) -> str:
    """Return medians, and how long each build took, in order."""
    step, digest = (statistics.median(each) for each in zip(*((t.step, t.digest) for t in took), strict=True))
    each = " ".join(f"{t.digest:.1f}" for t in took)
    return f"| {title} | {base} | {step:.2f} | {digest:.2f} | {each} | {whole:.0f} |"


if __name__ == "__main__":
    main()
