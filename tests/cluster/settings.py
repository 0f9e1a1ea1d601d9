"""Where the test cluster lives and by which addresses it is known."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIR = Path(os.environ.get("STRAKE_CLUSTER_DIR", "/var/lib/strake-cluster"))
"""All state: configuration, logs, etcd's and containerd's data. Removed by `down`."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strake"
"""What outlives the cluster: compiled binaries, images, Go."""
KUBECONFIG = DIR / "kubeconfig"

CGROUP = DIR.name
"""The control group that everything of the cluster is in, so that another kubelet's stays apart."""

KUBERNETES = "1.36.3"
BRIDGE = "strake0"
# Not 10.88.0.0/16, which podman and buildah take.
NODE_IP = "10.213.0.1"
POD_CIDR = "10.213.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"

REGISTRY = f"{NODE_IP}:5000"
"""Open to everyone, without TLS: reachable from the machine and from pods."""
LOCKED_REGISTRY = f"{NODE_IP}:5001"
"""The same, but it asks for a user name and password."""
LOCKED_USER, LOCKED_PASSWORD = "pusher", "test-only-password"
# bcrypt of the password above: docker-registry takes nothing weaker.
LOCKED_HTPASSWD = "pusher:$2b$05$gH5yOpfDFnNJsg5yi6SECeH1QTma1bHMtfOr4ouX7/q1pVuh5VnxK"
PAUSE_IMAGE = f"{REGISTRY}/pause:1"

COVERED = (
    Path("/opt/containerd"),
    Path("/run/containerd"),
    Path("/run/netns"),
    Path("/run/nri"),
    Path("/usr/libexec/kubernetes"),
    Path("/var/lib/cni"),
    Path("/var/lib/kubelet"),
    Path("/var/log/containers"),
)
"""Directories that containerd, CNI and the kubelet insist on: the cluster sees its own, empty ones there."""
DISK = DIR / "disk"
"""Where the cluster, and nobody else, sees a disk of its own."""
ON_DISK = (DIR / "containerd", DIR / "kubelet/pods")
"""Directories on it: images, the files of containers, and the pods' volumes."""
