"""The cluster's processes: how each is started, and the one that watches over them.

All live in a mount and PID namespace of their own, whose first process is `supervise`. When that ends,
the kernel ends every component, pod and mount with it.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from tests.cluster.binaries import policies_program
from tests.cluster.control_groups import join_components
from tests.cluster.settings import (
    COVERED,
    DIR,
    DISK,
    KUBECONFIG,
    NODE_IP,
    ON_DISK,
    POD_CIDR,
    SERVICE_CIDR,
)
from tests.fixtures.disk import mount_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READY_URL = "https://127.0.0.1:6443/readyz"
CONTAINERD = DIR / "containerd.sock"
START_SECONDS = 120
"""What a component may take until it answers."""


class NotReadyError(Exception):
    """A component did not answer in time; the message names its log."""


def log_file(component: str) -> Path:
    """Return a component's log."""
    return DIR / f"{component}.log"


def commands() -> dict[str, list[str]]:
    """Return the command of each component, in the order they start."""
    kubeconfig = f"--kubeconfig={KUBECONFIG}"
    return {
        "registry": ["docker-registry", "serve", str(DIR / "registry.json")],
        "locked-registry": ["docker-registry", "serve", str(DIR / "locked-registry.json")],
        "etcd": [
            "etcd",
            f"--data-dir={DIR}/etcd",
            "--unsafe-no-fsync",
            "--log-level=error",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
        ],
        "kube-apiserver": [
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--secure-port=6443",
            f"--cert-dir={DIR}/apiserver",
            f"--token-auth-file={DIR}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            f"--service-account-key-file={DIR}/sa.key",
            f"--service-account-signing-key-file={DIR}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
            f"--advertise-address={NODE_IP}",
        ],
        "kube-controller-manager": [
            "kube-controller-manager",
            kubeconfig,
            "--leader-elect=false",
            f"--service-account-private-key-file={DIR}/sa.key",
            f"--root-ca-file={DIR}/apiserver/apiserver.crt",
            "--use-service-account-credentials=true",
        ],
        "kube-scheduler": ["kube-scheduler", kubeconfig, "--leader-elect=false"],
        "containerd": ["containerd", "-c", f"{DIR}/containerd.toml", "-l", "warn"],
        "kubelet": [
            "kubelet",
            f"--config={DIR}/kubelet.yaml",
            kubeconfig,
            f"--root-dir={DIR}/kubelet",
            "--hostname-override=node",
            f"--node-ip={NODE_IP}",
            f"--cert-dir={DIR}/pki",
        ],
        "kube-proxy": [
            "kube-proxy",
            kubeconfig,
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_CIDR}",
            "--hostname-override=node",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
        "policies": [str(policies_program()), str(KUBECONFIG), "node"],
    }


def _start(name: str, log_mode: str = "wb") -> subprocess.Popen[bytes]:
    with log_file(name).open(log_mode) as log:
        return subprocess.Popen(commands()[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def supervise(programs: Path) -> None:
    """Start the components, reap orphans, end everything when one component ends.

    An API server that is killed is started again, as kubelets do with those that they run.

    Runs as the first process of the cluster's namespaces.
    """
    join_components()
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    for directory in COVERED:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory], check=True)
    if not DIR.is_mount():  # else it is on a disk already, or in memory, as a benchmark may want it
        for directory in (DISK, *ON_DISK):
            directory.mkdir(parents=True, exist_ok=True)
        mount_disk(DISK, ON_DISK)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
    # Kept, since subprocess reaps what nobody holds, and then nobody hears of its end.
    children: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
    for name in commands():
        child = _start(name)
        children[child.pid] = (name, child)
        if name == "kube-apiserver":
            _wait(lambda: answers(READY_URL), READY_URL, log_file(name))
        if name == "containerd":  # the kubelet ends where it finds nobody there
            _wait(lambda: _accepts(CONTAINERD), CONTAINERD, log_file(name))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        pid, status = os.wait()
        if pid in children:
            name = children.pop(pid)[0]
            code = os.waitstatus_to_exitcode(status)
            if name == "kube-apiserver" and code == -signal.SIGKILL:
                child = _start(name, "ab")
                children[child.pid] = (name, child)
                continue
            sys.exit(f"{name} ended with status {code}: see {log_file(name)}")


def answers(url: str) -> str | None:
    """Return None where a URL answers (an answer that asks for credentials is one), else what went wrong."""
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, context=context, timeout=2):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in {401, 403} else str(error)
    except OSError as error:
        return str(error)


def _accepts(path: Path) -> str | None:
    """Return None where somebody listens on a socket of the file system, else what went wrong."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except OSError as error:
        return str(error)
    return None


def _wait(problem: Callable[[], str | None], what: object, log: Path) -> None:
    """Wait until there is no problem any more.

    Raises:
        NotReadyError: There still was after START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while (found := problem()) is not None:
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what} did not answer within {START_SECONDS} s ({found}): see {log}")
        time.sleep(0.1)  # between looks: a program tells nobody that it is ready
