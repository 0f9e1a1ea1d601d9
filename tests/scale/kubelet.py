"""A node that runs no pods, and says that it does: builder pods get their phases, a log and a result.

    python -m tests.scale.kubelet URL TOKEN --seconds 2

Each pod with Strake's label is bound to the node, runs for so long and ends with a BuildResult. It
writes a line to standard output for each pod that it ran: `ran`, namespace, ImageBuild, Job and pod.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import ssl
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from strake_api.result import BuildSucceeded, StepCounts
from strake_operator.names import BUILD_ANNOTATION, CONTAINER, UID_LABEL
from tests.fixtures.servers.certificates import make_certificates
from tests.scale.api import CORE, Api, ApiError, Object

NODE = "stub"
RAN = "ran"
"""How a line begins that tells of a pod."""
_LOG = (
    "== fetching the source",
    "== pulling base images",
    "== steps: 2",
    "== building",
    "#1/2 [stage-0] RUN one",
    "#1 | said by a step",
    "#1 done in 0.1 s",
    "#2/2 [stage-0] RUN two",
    "#2 done in 0.1 s",
    "== pushing",
)


class Kubelet:
    """The node.

    Args:
        api: The API server.
        seconds: How long a pod runs.
    """

    def __init__(self, api: Api, seconds: float) -> None:
        self._api = api
        self._seconds = seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Event] = {}

    async def register(self, port: int) -> None:
        """Make the node's object; the API server asks for logs at a port of loopback."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        with contextlib.suppress(ApiError):
            await self._api.create(f"{CORE}/nodes", node)
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Stub", "message": "stub"}],
        }
        await self._api.patch(f"{CORE}/nodes/{NODE}/status", {"status": status})

    async def run(self) -> None:
        """Run every pod with Strake's label, until the task is cancelled."""
        while True:
            async for kind, pod in self._api.watch(f"{CORE}/pods", labelSelector=UID_LABEL):
                self._noticed(kind, pod)

    def _noticed(self, kind: str, pod: Object) -> None:
        if kind not in {"ADDED", "MODIFIED", "DELETED"}:
            return
        uid, status = pod["metadata"]["uid"], pod.get("status") or {}
        over = status.get("phase") in {"Succeeded", "Failed"}
        if kind == "DELETED" or over:
            self._tasks.pop(uid, None)
        elif "deletionTimestamp" in pod["metadata"]:
            if (task := self._tasks.pop(uid, None)) is not None:
                task.cancel()
                self._tasks[f"{uid} ends"] = asyncio.create_task(self._remove(pod))
        elif uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._run(pod))

    async def _remove(self, pod: Object) -> None:
        with contextlib.suppress(ApiError):
            await self._api.delete(_path(pod), {"gracePeriodSeconds": 0})
        self._tasks.pop(f"{pod['metadata']['uid']} ends", None)

    async def _run(self, pod: Object) -> None:
        metadata = pod["metadata"]
        build = (metadata.get("annotations") or {}).get(BUILD_ANNOTATION, "")
        job = metadata["labels"]["job-name"]
        ended = self._ended[metadata["name"]] = asyncio.Event()
        try:
            if not pod["spec"].get("nodeName"):
                target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
                await self._api.create(f"{_path(pod)}/binding", {"target": target, "metadata": metadata})
            started = _now()
            await self._report(pod, "Running", {"running": {"startedAt": started}}, started)
            print(RAN, metadata["namespace"], build, job, metadata["name"], flush=True)
            await asyncio.sleep(self._seconds)  # the build that it stands for
            done = {"exitCode": 0, "reason": "Completed", "message": result(build)}
            state = {"terminated": {**done, "startedAt": started, "finishedAt": _now()}}
            await self._report(pod, "Succeeded", state, started)
        except ApiError as error:
            if error.code not in {404, 409}:
                raise
        finally:
            ended.set()
            self._ended.pop(metadata["name"], None)

    async def _report(self, pod: Object, phase: str, state: Object, started: str) -> None:
        ready = "True" if phase == "Running" else "False"
        status = {
            "phase": phase,
            "startTime": started,
            "conditions": [{"type": each, "status": ready} for each in ("Ready", "ContainersReady")],
            "containerStatuses": [
                {
                    "name": CONTAINER,
                    "state": state,
                    "ready": phase == "Running",
                    "restartCount": 0,
                    "image": "stub",
                    "imageID": "stub",
                }
            ],
        }
        await self._api.patch(f"{_path(pod)}/status", {"status": status}, strategic=True)

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a container's log, line by line over the time that the pod runs."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        ended = self._ended.get(request.match_info["pod"])
        for line in _LOG:
            with contextlib.suppress(ConnectionError):  # who reads it may be killed
                await answer.write(f"{_now()} {line}\n".encode())
            if ended is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), self._seconds / len(_LOG))
        return answer


def result(build: str) -> str:
    """Return the termination message of a build that pushed."""
    digest = f"sha256:{hashlib.sha256(build.encode()).hexdigest()}"
    repository = f"registry.example/scale/{build}"
    done = BuildSucceeded(
        digest=digest,
        images=(f"{repository}@{digest}",),
        references=(f"{repository}:1",),
        steps=StepCounts(total=2, run=2),
    )
    return done.model_dump_json(by_alias=True)


def pods_of(log: str) -> Counter[tuple[str, str]]:
    """Return how many pods ran for each ImageBuild, by the output of this program."""
    lines = [line.split() for line in log.splitlines()]
    return Counter((words[1], words[2]) for words in lines if words[:1] == [RAN])


def _path(pod: Object) -> str:
    return f"{CORE}/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def serve(url: str, token: str, seconds: float) -> None:
    """Be a node of an API server until the process is ended."""
    with tempfile.TemporaryDirectory() as directory:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates = make_certificates(Path(directory))
        context.load_cert_chain(certificates.server, certificates.server_key)
        async with Api(url, token) as api:
            kubelet = Kubelet(api, seconds)
            application = web.Application()
            application.add_routes([web.get("/containerLogs/{namespace}/{pod}/{container}", kubelet.log)])
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            await kubelet.register(runner.addresses[0][1])
            await kubelet.run()


def main() -> None:
    """Run the node."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    asyncio.run(serve(given.url, given.token, given.seconds))


if __name__ == "__main__":
    main()
