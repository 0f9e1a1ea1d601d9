"""A Kubernetes without nodes: etcd, an API server and the controllers that an ImageBuild needs.

Everything that the operator talks to is real; what runs pods is `tests.scale.kubelet`, which only says that
it does. So thousands of builds cost a machine no more than their requests.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.binaries import binaries
from tests.cluster.processes import answers

OPERATOR = "system:serviceaccount:strake-system:strake-operator"
"""The operator's user, with the rights of deploy/rbac.yaml and no others."""
OPERATORS = ("first", "second")
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_CONTROLLERS = ("job", "namespace", "garbage-collector", "serviceaccount")
_START_SECONDS = 120
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}],
}


class ControlPlaneError(Exception):
    """A component did not start; the message names its log."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane that runs.

    Attributes:
        directory: Of its state and logs.
        url: Of the API server.
        admin: Kubeconfig of somebody who may do everything.
        operators: Kubeconfigs of the operator, one for each that runs at a time: its user is the same in all,
            and the audit log tells them apart by the user's UID, which is the file's name.
        token: The administrator's.
        audit: The audit log, with the operator's requests.
        programs: Of Kubernetes; kubectl is among them.
        processes: Its components, by the names of their programs.
    """

    directory: Path
    url: str
    admin: Path
    operators: tuple[Path, ...]
    token: str
    audit: Path
    programs: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def pause(self, component: str) -> None:
        """Have a component stand still: it answers and refuses nothing, as without a network."""
        self.processes[component].send_signal(signal.SIGSTOP)

    def resume(self, component: str) -> None:
        """Have a component go on."""
        self.processes[component].send_signal(signal.SIGCONT)

    def start(self, component: str, command: list[str]) -> None:
        """Start a component; return when it answers, where it is the API server."""
        log = self.directory / f"{component}.log"
        with log.open("ab") as output:
            self.processes[component] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        if component == "kube-apiserver":
            _wait_for(f"{self.url}/readyz", log)

    def stop(self) -> None:
        """End all components."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator; return its output."""
        command = [str(self.programs / "kubectl"), f"--kubeconfig={self.admin}", *arguments]
        environment = {**os.environ, "KUBECACHEDIR": str(self.directory / "kubectl")}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@contextlib.contextmanager
def control_plane(*, empty: bool = False) -> Iterator[ControlPlane]:
    """Start a control plane with Strake's CRDs, rights and admission policies; end it with the context.

    Args:
        empty: Leave out what is Strake's: the test installs it.

    Raises:
        ControlPlaneError: A component did not start.
    """
    programs = binaries()
    directory = Path(tempfile.mkdtemp(prefix="strake-scale-"))
    etcd, peers, api = _free_ports(3)
    plane = _configured(directory, programs, f"https://127.0.0.1:{api}")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.callback(plane.stop)
        for name, command in _commands(plane, etcd, peers, api).items():
            plane.start(name, [str(programs / name), *command])
        if not empty:
            install(plane)
        yield plane


@contextlib.contextmanager
def running(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the context lasts; what it writes goes to the end of a log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def _configured(directory: Path, programs: Path, url: str) -> ControlPlane:
    groups = '"system:serviceaccounts,system:serviceaccounts:strake-system,system:authenticated"'
    tokens = {name: secrets.token_hex(16) for name in ("admin", *OPERATORS)}
    lines = [f"{tokens[name]},{OPERATOR},{name},{groups}" for name in OPERATORS]
    _write(directory / "tokens.csv", "\n".join([f"{tokens['admin']},admin,admin,system:masters", *lines]))
    _write(directory / "audit.yaml", json.dumps(_AUDIT))
    for name, token in tokens.items():
        _write(directory / name, json.dumps(_kubeconfig(url, token)))
    key = ["openssl", "genrsa", "-out", str(directory / "sa.key"), "2048"]
    subprocess.run(key, check=True, stderr=subprocess.DEVNULL)
    return ControlPlane(
        directory=directory,
        url=url,
        admin=directory / "admin",
        operators=tuple(directory / name for name in OPERATORS),
        token=tokens["admin"],
        audit=directory / "audit.log",
        programs=programs,
    )


def _write(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)


def _kubeconfig(url: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "scale",
        "clusters": [{"name": "scale", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "scale", "context": {"cluster": "scale", "user": "user"}}],
    }


def _commands(plane: ControlPlane, etcd: int, peers: int, api: int) -> dict[str, list[str]]:
    directory = plane.directory
    return {
        "etcd": [
            f"--data-dir={directory}/etcd",
            "--unsafe-no-fsync",
            "--log-level=error",
            "--quota-backend-bytes=8589934592",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
        ],
        "kube-apiserver": [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api}",
            f"--cert-dir={directory}/apiserver",
            f"--token-auth-file={directory}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={directory}/sa.key",
            f"--service-account-signing-key-file={directory}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-policy-file={directory}/audit.yaml",
            f"--audit-log-path={plane.audit}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=4096",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={plane.admin}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={directory}/sa.key",
            "--use-service-account-credentials=true",
            f"--controllers={','.join(f'{each}-controller' for each in _CONTROLLERS)}",
            # Of one client for all controllers: twenty a second is for clusters with many.
            "--kube-api-qps=2000",
            "--kube-api-burst=4000",
        ],
    }


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while (problem := answers(url)) is not None:
        if time.monotonic() > deadline:
            raise ControlPlaneError(
                f"{url} did not answer within {_START_SECONDS} s ({problem}): {_end(log)}"
            )
        time.sleep(0.1)  # between looks: a program tells nobody that it is ready


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def install(plane: ControlPlane) -> None:
    """Apply deploy/. Its Deployment stays without pods, since no controller makes any."""
    plane.kubectl("apply", "-k", str(DEPLOY))
    names = ("imagebuilds", "buildpolicies")
    for name in names:
        plane.kubectl("wait", f"crd/{name}.strake.dev", "--for=condition=Established", "--timeout=200s")


@contextlib.contextmanager
def stub_kubelet(plane: ControlPlane, *, seconds: float) -> Iterator[None]:
    """Have builder pods answered with a success after some time."""
    words = ["-m", "tests.scale.kubelet", plane.url, plane.token, "--seconds", str(seconds)]
    with running([sys.executable, *words], plane.directory / "kubelet.log"):
        yield
