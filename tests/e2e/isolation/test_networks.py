"""What a build reaches of the cluster: everything without the policy of deploy/network, and nothing with it.

The test cluster enforces NetworkPolicies (tests/cluster/network.py), so what a step reaches is what a step in a
cluster would. It has one node, which is the API server's and the kubelet's: its addresses count as any other's.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import BRIDGE, NODE_IP, REGISTRY
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import (
    ask_for_rerun,
    build,
    building,
    finished,
    manifest,
    pods,
    run_image,
    status_of,
    until,
)
from tests.e2e.conftest import TINY
from tests.e2e.intrusions import cluster_wide
from tests.e2e.isolation.test_policy import policy as build_policy

DEPLOY = Path(__file__).parents[3] / "deploy/network"
METADATA = "169.254.42.254"
"""Stands for a cloud's metadata service, on this machine alone."""
PORT = 8081


def policy(name: str, *opened: dict) -> dict:
    """Return a policy of deploy/, with what a platform team fills in."""
    document = yaml.safe_load((DEPLOY / f"{name}.yaml").read_text())
    document["spec"]["egress"] += opened
    return document


def registry_opened() -> dict:
    host, _, port = REGISTRY.rpartition(":")
    return {
        "to": [{"ipBlock": {"cidr": f"{host}/32"}}],
        "ports": [{"protocol": "TCP", "port": int(port)}],
    }


@pytest.fixture(scope="module")
def metadata() -> Iterator[None]:
    """A service at a link-local address of the node, as a cloud has one."""
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert ip is not None
    subprocess.run([ip, "addr", "replace", f"{METADATA}/32", "dev", BRIDGE], check=True)
    with socket.create_server((METADATA, 80)) as listener:
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    subprocess.run([ip, "addr", "del", f"{METADATA}/32", "dev", BRIDGE], check=True)


def _greet(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\ntoken")
            client.close()


@pytest.fixture
def neighbour(namespace) -> str:
    """A pod that serves; return its address."""
    kubectl("run", "neighbour", f"--image={TINY}", "-n", namespace, "--command", "--", *serve())
    kubectl("wait", "pod/neighbour", "--for=condition=Ready", "--timeout=200s", "-n", namespace)
    address = address_of(namespace, "neighbour")
    until(lambda: answers(address), "the neighbour to serve", lambda: address)
    return address


def serve() -> tuple[str, ...]:
    return ("/bin/busybox", "httpd", "-f", "-p", str(PORT))


def address_of(namespace: str, pod: str) -> str:
    return kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIP}")


def answers(address: str) -> bool:
    """Return whether the node reaches a pod's server, which no policy forbids."""
    try:
        socket.create_connection((address, PORT), 2).close()
    except OSError:
        return False
    return True


def tried(targets: dict[str, tuple[str, int]]) -> str:
    """Return a script that tells which targets are reached: a connection that stays open was made, too."""
    tries = [
        f"{{ timeout 6 nc -w 3 {host} {port} </dev/null >/dev/null 2>&1; "
        f"case $? in 0|124|143) echo {name} >> /found;; esac; }} &"
        for name, (host, port) in targets.items()
    ]
    return " ".join(["touch /found;", *tries, "wait"])


@pytest.mark.parametrize("closed", [True, False], ids=["with the policy", "without"])
def test_what_a_step_reaches(namespace, metadata, neighbour, closed):
    service = kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    inside = {
        "service": (service, 443),
        "apiserver": (NODE_IP, 6443),
        "kubelet": (NODE_IP, 10250),
        "metadata": (METADATA, 80),
        "neighbour": (neighbour, PORT),
    }
    host, _, port = REGISTRY.rpartition(":")
    if closed:
        apply(policy("builders", registry_opened()), namespace)
    script = tried({**inside, "registry": (host, int(port))})
    status = build(namespace, f'FROM TINY\nRUN {script}\nCMD ["cat", "/found"]\n')
    assert status["phase"] == "Succeeded", status
    found = run_image(namespace, status["image"]).split()
    assert sorted(found) == (["registry"] if closed else sorted([*inside, "registry"]))


@pytest.mark.parametrize("closed", [True, False], ids=["with the policy", "without"])
def test_who_reaches_a_step(namespace, closed):
    """A step that serves is not served: neither a neighbour nor another build has a way to talk to it."""
    if closed:
        apply(policy("builders", registry_opened()), namespace)
    apply(manifest(f"FROM TINY\nRUN timeout 90 {' '.join(serve())}; true\n"), namespace)
    building(namespace, "RUN timeout")
    (pod,) = pods(namespace)
    address = address_of(namespace, pod)
    until(lambda: answers(address), "the step to serve", lambda: status_of(namespace))
    script = f"nc -w 3 {address} {PORT} </dev/null 2>/dev/null && echo yes; true"
    reached = run_image(namespace, TINY, "sh", "-c", script)
    assert reached.split() == ([] if closed else ["yes"])


@pytest.mark.parametrize(
    "line",
    [f"ADD http://{METADATA}/latest /x", f"ADD http://{METADATA}/a.git /x", f"FROM {METADATA}:80/app"],
)
def test_the_builder_itself_is_not_led_there(namespace, metadata, line):
    """Without any policy: by the operator's own list."""
    status = build(namespace, line if line.startswith("FROM") else f"FROM TINY\n{line}\n")
    assert status["phase"] == "Failed"
    assert f"{METADATA} is in 169.254.0.0/16, a network that builds may not reach" in str(status["failure"])


def test_the_operator_works_with_its_policy(namespace, alone):
    """The API server's address, as a platform team fills it in."""
    made = policy("operator")
    apply(made, NAMESPACE)
    try:
        kubectl("rollout", "restart", "deployment/strake-operator", "-n", NAMESPACE)
        kubectl("rollout", "status", "deployment/strake-operator", "-n", NAMESPACE, "--timeout=200s")
        assert build(namespace, "FROM TINY\nRUN true\n")["phase"] == "Succeeded"
    finally:
        kubectl("delete", "networkpolicy", made["metadata"]["name"], "-n", NAMESPACE)


def test_the_platform_closes_and_opens_networks(platform, changing, namespace, metadata):
    """It closes the node, whose registries it has named, and opens the service that is closed everywhere."""
    with platform.changed(STRAKE_DENY_NETWORKS=f"{NODE_IP}/32", STRAKE_ALLOW_NETWORKS=METADATA):
        opened = build(namespace, f"FROM TINY\nADD http://{METADATA}/latest /x\nRUN grep token /x\n")
        assert opened["phase"] == "Succeeded", opened
        apply(manifest(f"FROM TINY\nADD http://{REGISTRY}/v2/ /x\n", name="closed"), namespace)
        closed = finished(namespace, name="closed")
    assert f"{NODE_IP} is in {NODE_IP}/32, a network that builds may not reach" in str(closed["failure"])


def test_a_policy_closes_and_opens_networks(namespace, metadata):
    """It opens to its namespace what is closed everywhere, and closes it what is open; what another closes, not."""
    texts = {
        "opened": f"FROM TINY\nADD http://{METADATA}/latest /x\nRUN grep token /x\n",
        "closed": f"FROM TINY\nADD http://{REGISTRY}/v2/ /x\n",
    }
    first = build_policy(namespace, networks={"deny": [f"{NODE_IP}/32"], "allow": [f"{METADATA}/32"]})
    with cluster_wide(first):
        opened = built_until(namespace, "opened", texts["opened"], phase="Succeeded")
        closed = built_until(namespace, "closed", texts["closed"], phase="Failed")
        assert f"{NODE_IP} is in {NODE_IP}/32, a network that builds may not reach" in str(closed["failure"])
        second = build_policy(namespace, networks={"deny": [f"{METADATA}/32"]})
        second["metadata"]["name"] += "-two"
        with cluster_wide(second):
            again = built_until(namespace, "opened", texts["opened"], phase="Failed")
    assert opened["phase"] == "Succeeded"
    assert f"{METADATA} is in " in str(again["failure"])


def built_until(namespace: str, name: str, text: str, *, phase: str) -> dict:
    """Build until a run ends so: the operator's watch of policies is another than that of builds."""
    apply(manifest(text, name=name), namespace)

    def ended() -> bool:
        status = finished(namespace, name=name)
        if status["phase"] != phase:
            ask_for_rerun(namespace, name)
        return status["phase"] == phase

    until(ended, f"{name} to be {phase}", lambda: status_of(namespace, name))
    return status_of(namespace, name)
