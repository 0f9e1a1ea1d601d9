"""Every component's configuration, written under DIR."""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import TYPE_CHECKING, Any

from tests.cluster.settings import (
    BRIDGE,
    CGROUP,
    DIR,
    KUBECONFIG,
    LOCKED_HTPASSWD,
    LOCKED_REGISTRY,
    NODE_IP,
    PAUSE_IMAGE,
    POD_CIDR,
    REGISTRY,
)

if TYPE_CHECKING:
    from pathlib import Path


def configure(programs: Path) -> None:
    """Write all configuration; new keys and a new token each time."""
    DIR.mkdir(parents=True, exist_ok=True)
    DIR.chmod(0o711)
    token = secrets.token_hex(16)
    _write_private(DIR / "tokens.csv", f"{token},admin,admin,system:masters\n")
    _write_private(KUBECONFIG, json.dumps(_kubeconfig(token)))
    subprocess.run(
        ["openssl", "genrsa", "-out", DIR / "sa.key", "2048"], check=True, stderr=subprocess.DEVNULL
    )
    (DIR / "cni.d").mkdir(exist_ok=True)
    (DIR / "cni.d/10-strake.conflist").write_text(json.dumps(_network()))
    (DIR / "containerd.toml").write_text(_containerd(programs))
    for registry in (REGISTRY, LOCKED_REGISTRY):
        hosts = DIR / "certs.d" / registry / "hosts.toml"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        hosts.write_text(
            f'server = "http://{registry}"\n[host."http://{registry}"]\ncapabilities = ["pull", "resolve"]\n'
        )
    (DIR / "kubelet.yaml").write_text(json.dumps(_kubelet()))
    (DIR / "htpasswd").write_text(LOCKED_HTPASSWD + "\n")
    (DIR / "registry.json").write_text(json.dumps(_registry(REGISTRY)))
    (DIR / "locked-registry.json").write_text(json.dumps(_registry(LOCKED_REGISTRY, locked=True)))


def _write_private(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(content)


def _kubeconfig(token: str) -> dict[str, Any]:
    name = "strake-test"
    server = {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
    }


def _network() -> dict[str, Any]:
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_CIDR, "gateway": NODE_IP}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(DIR / "ipam"),
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "strake", "plugins": [bridge, portmap]}


def _containerd(programs: Path) -> str:
    return f"""version = 3
root = "{DIR}/containerd"
state = "{DIR}/containerd-state"
[grpc]
address = "{DIR}/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{DIR}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{programs}"]
conf_dir = "{DIR}/cni.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{programs}/runc"
SystemdCgroup = false
"""


def _kubelet() -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{DIR}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "staticPodPath": "",
        "resolvConf": "/etc/resolv.conf",
        "clusterDomain": "cluster.local",
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "podLogsDir": str(DIR / "pod-logs"),
        "volumePluginDir": str(DIR / "volume-plugins"),
        "serializeImagePulls": False,
        "syncFrequency": "5s",
        "volumeStatsAggPeriod": "10s",  # how often it looks at what a pod's volumes take; a minute in other clusters
        "containerLogMaxSize": "10Mi",
        "podPidsLimit": 1024,  # as docs/operator.md asks for
    }


def _registry(address: str, *, locked: bool = False) -> dict[str, Any]:
    name = "locked-registry" if locked else "registry"
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(DIR / name)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
    if locked:
        configuration["auth"] = {"htpasswd": {"realm": "strake-test", "path": str(DIR / "htpasswd")}}
    return configuration
