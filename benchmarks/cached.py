"""From `kubectl apply` to the digest of a build whose steps are all cached, taken apart.

    .venv/bin/python -m benchmarks.cached [--builds 20] [--memory]

One ImageBuild fills the cache repository; the others, each of a new name, have the same Dockerfile and find
each step there. Taken apart by what watches hear and by times in the pod's log, all of one machine's clock:

    kubectl      from the start of kubectl to the ImageBuild
    operator     to its Job
    controller   to the Job's pod: Kubernetes' Job controller
    scheduler    to a node for it
    kubelet      to the builder's first line: sandbox, containers, the start of Python
    builder      to its last line: manifests, keys, what is cached, push
    kubelet      to the end of the container on the pod's status
    operator     to Finished on the ImageBuild

Last, what Kubernetes takes without a builder: a Job of the very pod of such a build, whose container is
busybox and ends at once, from the start of kubectl to the end of the container on the pod's status.

Needs what the test cluster needs (`python -m tests.setup`); the cluster is stopped at the end if it was not
running. `--memory` has all files of the cluster in memory, so that a slow disk does not hide the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.pods import cluster
from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from tests.cluster.kubectl import apply, kubectl
from tests.cluster.objects import ObjectError, read
from tests.cluster.settings import KUBECONFIG, REGISTRY
from tests.demo.installation import install
from tests.demo.own_images import own_images
from tests.images.push import push_image

_NAMESPACE: Final = "bench-cached"
_FIRST: Final = "fills"
_LIMIT: Final = 60.0
_TEXT: Final = f"FROM {REGISTRY}/bench/tiny:1\nRUN echo one > /1\nCOPY Dockerfile /2\nRUN echo three > /3\n"
_GROUP: Final = ("strake.dev", "v1alpha1")
PARTS: Final = (
    ("kubectl, to the ImageBuild", "began", "build"),
    ("operator, to the Job", "build", "job"),
    ("Job controller, to the pod", "job", "pod"),
    ("scheduler, to a node", "pod", "bound"),
    ("kubelet and runtime, to the builder's first line", "bound", "first line"),
    ("builder, to its last line", "first line", "last line"),
    ("kubelet, to the end on the pod's status", "last line", "ended"),
    ("operator, to Finished", "ended", "finished"),
    ("in all", "began", "finished"),
)
BARE: Final = (("the same pod, whose container ends at once", "began", "ended"),)
Moments = dict[str, datetime]


class Heard:
    """When which change of which build was heard of first, as far as watches tell."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._moments: dict[str, Moments] = {}

    def note(self, build: str, what: str) -> None:
        """Take note that something happened now, if it is the first time."""
        with self._news:
            self._moments.setdefault(build, {}).setdefault(what, datetime.now(UTC))
            self._news.notify_all()

    def of(self, build: str, *awaited: str) -> Moments:
        """Wait until all that is awaited of a build was heard of; return its moments."""
        with self._news:
            is_over = set(awaited)
            if not self._news.wait_for(lambda: is_over <= self._moments.get(build, {}).keys(), _LIMIT):
                raise RuntimeError(f"{build} did not end within {_LIMIT:.0f} s: {self._moments.get(build)}")
            return dict(self._moments[build])


@contextlib.contextmanager
def watching(heard: Heard) -> Iterator[None]:
    """Listen to builds, Jobs and pods of the namespace for as long as the context lasts."""
    api = config.new_client_from_config(str(KUBECONFIG))
    builds = client.CustomObjectsApi(api).list_namespaced_custom_object
    sources: list[tuple[Callable[..., Any], tuple[str, ...], Callable[[Heard, Any], None]]] = [
        (builds, (*_GROUP, _NAMESPACE, "imagebuilds"), _build),
        (client.BatchV1Api(api).list_namespaced_job, (_NAMESPACE,), _job),
        (client.CoreV1Api(api).list_namespaced_pod, (_NAMESPACE,), _pod),
    ]
    watches = [watch.Watch() for _ in sources]

    def listen(own: watch.Watch, source: Callable[..., Any], where: tuple[str, ...], note: Any) -> None:
        with contextlib.suppress(HTTPError):  # the cluster ends
            for event in own.stream(source, *where):
                if event["type"] != "DELETED":
                    note(heard, event["raw_object"])

    for own, (source, where, note) in zip(watches, sources, strict=True):
        threading.Thread(target=listen, args=(own, source, where, note), daemon=True).start()
    try:
        yield
    finally:
        for own in watches:
            own.stop()


def _build(heard: Heard, body: Any) -> None:
    name = body["metadata"]["name"]
    heard.note(name, "build")
    if any(each["type"] == "Finished" and each["status"] == "True" for each in _conditions(body)):
        heard.note(name, "finished")


def _job(heard: Heard, body: Any) -> None:
    heard.note(_owner(body), "job")


def _pod(heard: Heard, body: Any) -> None:
    name = _owner(body)
    heard.note(name, "pod")
    if body["spec"].get("nodeName"):
        heard.note(name, "bound")
    states = (each.get("state") or {} for each in (body.get("status") or {}).get("containerStatuses") or ())
    if any("terminated" in state for state in states):
        heard.note(name, "ended")


def _conditions(body: Any) -> Any:
    return (body.get("status") or {}).get("conditions") or ()


def _owner(body: Any) -> str:
    return str((body["metadata"].get("annotations") or {}).get("strake.dev/imagebuild", ""))


def build(heard: Heard, name: str) -> Moments:
    """Apply an ImageBuild and wait for its end; return when what happened.

    Raises:
        RuntimeError: it did not end, or not all of its steps were cached.
    """
    spec = {
        "source": {"inline": {"Dockerfile": _TEXT}},
        "output": {"destinations": [f"{REGISTRY}/bench/out:{name}"]},
        "cache": {"repository": f"{REGISTRY}/bench/cache"},
    }
    began = datetime.now(UTC)
    apply(
        {"apiVersion": "/".join(_GROUP), "kind": "ImageBuild", "metadata": {"name": name}, "spec": spec},
        _NAMESPACE,
    )
    moments = {**heard.of(name, "ended", "finished"), "began": began}
    status = read("imagebuilds", _NAMESPACE, name)["status"]
    steps = status.get("steps", {})
    if status["phase"] != "Succeeded" or (name != _FIRST and steps["cached"] != steps["total"]):
        raise RuntimeError(f"{name} is no build whose steps are all cached: {status}")
    lines = kubectl("logs", f"job/{status['job']}", "-c", "builder", "-n", _NAMESPACE, "--timestamps")
    return moments | _ends(lines)


def bare(heard: Heard, name: str) -> Moments:
    """Run a Job of the first build's pod without its builder; return when what happened."""
    made = read("jobs", _NAMESPACE, read("imagebuilds", _NAMESPACE, _FIRST)["status"]["job"])
    pod = made["spec"]["template"]["spec"]
    kept = ("name", "resources", "securityContext", "volumeMounts")
    (container,) = ({key: each[key] for key in kept if key in each} for each in pod["containers"])
    container |= {"image": f"{REGISTRY}/bench/tiny:1", "command": ["true"]}
    metadata = {"name": name, "annotations": {"strake.dev/imagebuild": name}}
    template = {
        "metadata": {"annotations": metadata["annotations"]},
        "spec": {**pod, "containers": [container]},
    }
    began = datetime.now(UTC)
    spec = {"template": template, "backoffLimit": 0}
    apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}, _NAMESPACE)
    return {**heard.of(name, "ended"), "began": began}


def _ends(log: str) -> Moments:
    times = [datetime.fromisoformat(f"{line[:26].rstrip('Z')}+00:00") for line in log.splitlines()]
    return {"first line": times[0], "last line": times[-1]}


def _pause() -> None:
    """Let the operator write its last words of the run before, and begin the next at any moment of a second.

    A kubelet sees that containers ended once a second: runs that begin when the last one's end was seen
    would all have the same phase.
    """
    time.sleep(0.5 + random.random())  # as above: nothing is waited for


def table(measured: list[Moments], bare: list[Moments]) -> str:
    """Return medians and the slowest, as rows of a table."""
    rows = ["| part | median, s | slowest, s |", "|---|---|---|"]
    for (title, begins, ends), them in [
        *((part, measured) for part in PARTS),
        *((part, bare) for part in BARE),
    ]:
        seconds = [(each[ends] - each[begins]).total_seconds() for each in them]
        rows.append(f"| {title} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--builds", type=int, default=20, metavar="N", help="in a row (default: 20)")
    parser.add_argument("--memory", action="store_true", help="the cluster's files are in memory")
    options = parser.parse_args()
    with cluster(in_memory=options.memory):
        push_image("tiny", f"{REGISTRY}/bench/tiny:1")
        install(own_images(lambda _: None))
        with contextlib.suppress(ObjectError):
            kubectl("create", "namespace", _NAMESPACE)
        heard = Heard()
        with watching(heard):
            build(heard, _FIRST)
            measured, without = [], []
            for number in range(options.builds):
                _pause()
                measured.append(build(heard, f"b{number}"))
                _pause()
                without.append(bare(heard, f"bare-{number}"))
        print(table(measured, without), flush=True)
        kubectl("delete", "namespace", _NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
