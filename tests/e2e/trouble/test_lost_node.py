"""A node that does not answer any more: no build waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.aio import client, config

from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Key
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.kube.cluster import Cluster
from strake_operator.kube.watched import Watched
from strake_operator.reconcile.progress import Progress
from strake_operator.settings.environment import Settings
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import KUBECONFIG
from tests.e2e.builds import building, finished, gated, jobs, manifest, pods, status_of, until
from tests.e2e.intrusions import bound_pod, builder, ghost_node, report
from tests.fixtures.narrow import present

pytestmark = pytest.mark.cluster

QUICK = "FROM TINY\nRUN true\n"
RUNNING = builder(running={"startedAt": "2026-01-02T00:00:00Z"})


async def connected(work, **settings):
    """Call with an operator's view of the cluster, as an administrator; return what comes back."""
    configuration = client.Configuration()
    await config.load_kube_config(config_file=str(KUBECONFIG), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        return await work(Cluster(api, Watched(), **settings))


@pytest.fixture
def ghost(namespace):
    with ghost_node(namespace):
        yield


def running(namespace, but=()):
    """Wait for a builder pod on the node, which then runs it and says no more; return its name."""
    pod = bound_pod(namespace, but=but)
    report(namespace, pod, phase="Running", containerStatuses=RUNNING)
    return pod


def test_the_deadline_of_a_build_is_kept(namespace, ghost):
    apply(manifest(QUICK, timeout="1m"), namespace)
    running(namespace)
    until(lambda: status_of(namespace).get("phase") == "Building", "the start", lambda: status_of(namespace))
    # The clock of this operator is ahead by the timeout, and by what Job and node get to end the pod.
    late = timedelta(seconds=60 + 60 + 80 + 1)

    async def reconcile(cluster):
        follower = Follower(cluster.log_lines)
        settings = Settings(builder_image="unused")
        clock = lambda: datetime.now(UTC) + late  # noqa: E731 - an argument
        reconciler = Reconciler(cluster, follower, settings, lambda *_: None, clock)
        await reconciler.reconcile(Key(namespace, "app"))
        await follower.close()

    asyncio.run(connected(reconcile))
    status = finished(namespace)
    assert status["failure"]["reason"] == "TimedOut"
    assert "its node did not end it" in status["failure"]["message"]


def test_a_pod_whose_deletion_nobody_confirms_is_given_up(namespace, ghost):
    """What a cluster does to the pods of a node that is gone is to mark them deleted, and wait."""
    apply(manifest(QUICK), namespace)
    first = running(namespace)
    kubectl("delete", "pod", first, "-n", namespace, "--grace-period=1", "--wait=false")
    second = bound_pod(namespace, but=[first])
    until(lambda: pods(namespace) == [second], "the lost pod to be gone", lambda: pods(namespace))
    # The status is written when the Job is made, whose pod may be seen before.
    until(lambda: status_of(namespace)["attempts"] == 2, "attempt 2", lambda: status_of(namespace))
    assert pods(namespace) == [second], "one pod for each attempt"


def test_a_changed_spec_does_not_wait_for_the_node(namespace, ghost):
    apply(manifest(QUICK), namespace)
    first = running(namespace)
    apply(manifest("FROM TINY\nRUN echo changed\n"), namespace)
    bound_pod(namespace, but=[first])
    until(
        lambda: status_of(namespace)["observedGeneration"] == 2,
        "the changed spec",
        lambda: status_of(namespace),
    )
    assert len(jobs(namespace)) == 1


def test_a_log_whose_connection_ends_is_read_on(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(f"{text}RUN echo two; sleep 6\n"), namespace)
    building(namespace, "until wget")
    (pod,) = pods(namespace)

    async def read(cluster):
        opened: list[str] = []
        progress: asyncio.Queue[Progress] = asyncio.Queue()

        async def lines(namespace, pod):
            opened.append(pod)
            if len(opened) == 2:
                await asyncio.to_thread(open_gate)
            async for line in cluster.log_lines(namespace, pod):
                yield line

        follower = Follower(lines)
        follower.follow(
            namespace, pod, lambda: progress.put_nowait(present(follower.progress(namespace, pod)))
        )
        shown: list[Progress] = []
        async with asyncio.timeout(180):
            while not (shown and "echo two" in shown[-1].step):
                shown.append(await progress.get())
        await follower.close()
        return opened, shown

    opened, shown = asyncio.run(connected(read, log_seconds=1))
    assert len(opened) > 1
    done = [each.done for each in shown]
    assert done == sorted(done)
    assert shown[-1].done == 1
    assert finished(namespace)["phase"] == "Succeeded"
