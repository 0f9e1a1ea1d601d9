"""The cluster's programs, compiled from source once and kept in the cache.

Kubernetes and etcd become one binary that acts by the name it is called by; containerd, its shim, runc
and the CNI plugins are separate. The cache's key is a hash of the module files, so that a version
changed there means a new compilation, and nothing else does. What enforces NetworkPolicies has a directory
and a key of its own: it is changed without a new compilation of Kubernetes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.requirements import go_command
from tests.cluster.settings import CACHE, HERE, KUBERNETES
from tests.fixtures.building.untimed import untimed

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_PLUGINS = "github.com/containernetworking/plugins/plugins"
_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Compilation:
    """Packages of one Go module that are compiled together."""

    what: str
    module: str
    packages: tuple[str, ...]
    ldflags: str = "-s -w"
    tags: str = ""
    cgo: bool = False

    def missing(self, directory: Path) -> list[str]:
        """Return the packages whose programs are not there yet."""
        return [package for package in self.packages if not (directory / package.rpartition("/")[2]).exists()]


COMPILATIONS = (
    Compilation(
        "Kubernetes and etcd (some ten minutes)",
        "components",
        ("strake.dev/test-cluster/components",),
        tags="providerless",
        ldflags=f"-s -w -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1"
        f" -X {_VERSION}.gitMinor={KUBERNETES.split('.')[1]}",
    ),
    Compilation("runc", "node", ("github.com/opencontainers/runc",), tags="seccomp", cgo=True),
    Compilation(
        "containerd and CNI plugins (a minute)",
        "node",
        (
            f"{_CONTAINERD}/containerd",
            f"{_CONTAINERD}/containerd-shim-runc-v2",
            f"{_PLUGINS}/main/bridge",
            f"{_PLUGINS}/main/loopback",
            f"{_PLUGINS}/ipam/host-local",
            f"{_PLUGINS}/meta/portmap",
        ),
    ),
)


POLICIES = Compilation("kube-network-policies (a minute)", "policies", ("strake.dev/test-cluster/policies",))


def binaries_directory() -> Path:
    """Return where the programs are, or will be."""
    return (
        CACHE
        / "cluster"
        / _key("components/go.mod", "components/go.sum", "node/go.mod", "node/go.sum", "components/main.go")
    )


def policies_program() -> Path:
    """Return where the program is, or will be, that enforces NetworkPolicies."""
    return (
        CACHE
        / "cluster"
        / f"policies-{_key('policies/go.mod', 'policies/go.sum', 'policies/main.go')}"
        / "policies"
    )


def is_compiled() -> bool:
    """Return whether the cache has every program."""
    directory = binaries_directory()
    return policies_program().exists() and not any(each.missing(directory) for each in COMPILATIONS)


def _key(*sources: str) -> str:
    return hashlib.sha256(b"".join((HERE / file).read_bytes() for file in sources)).hexdigest()[:12]


def binaries() -> Path:
    """Compile what the cache lacks; return the programs' directory.

    Raises:
        MissingRequirementsError: Something must be compiled and there is no Go, or one too old.
    """
    directory, policies = binaries_directory(), policies_program().parent
    directory.mkdir(parents=True, exist_ok=True)
    policies.mkdir(parents=True, exist_ok=True)
    with untimed(), (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # control planes of several tests begin at a time
        for compilation in COMPILATIONS:
            if missing := compilation.missing(directory):
                _compile(compilation, missing, directory)
        if missing := POLICIES.missing(policies):
            _compile(POLICIES, missing, policies)
        for name in COMPONENTS:
            if not (directory / name).exists():
                os.link(directory / "components", directory / name)
    return directory


def _compile(compilation: Compilation, packages: list[str], directory: Path) -> None:
    go = go_command()
    print(f"compiling {compilation.what} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    flags = ["-trimpath", f"-tags={compilation.tags}", f"-ldflags={compilation.ldflags}"]
    subprocess.run(
        [go, "build", *flags, "-o", f"{directory}/", *packages],
        check=True,
        cwd=HERE / compilation.module,
        env={**os.environ, "CGO_ENABLED": str(int(compilation.cgo))},
    )
    print(f"compiled {compilation.what} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
