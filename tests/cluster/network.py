"""The node's bridge, and the packet filter rules that kube-proxy and the CNI plugins leave behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.requirements import MissingRequirementsError
from tests.cluster.settings import BRIDGE, NODE_IP

_QUEUE = "100"
"""Where `policies/main.go` takes packets from."""
_NEW = ("-m", "conntrack", "--ctstate", "NEW", "-j", "NFQUEUE", "--queue-num", _QUEUE)
_ASKED = (
    ("INPUT", "-i", BRIDGE),
    ("FORWARD", "-i", BRIDGE),
    ("FORWARD", "!", "-i", BRIDGE, "-o", BRIDGE),
)
"""Connections of pods to the node, of pods to all else, and of all else to pods. kube-network-policies would ask for
the second and the third by nftables; many kernels have no queue there. The first it leaves open, as NetworkPolicy allows
a CNI plugin to: here the node is the whole cluster, with the API server and the kubelet."""
_OURS = ("KUBE-", "CNI-", "kubernetes portals", f" {BRIDGE} ")
BRIDGE_MAC = "02:53:54:52:4b:01"
"""Locally administered (IEEE 802, bit 1 of the first byte)."""
_SETTINGS = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")


def _command(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or name


def network_up(state: Path) -> None:
    """Make the bridge with the node's address and let packets through; remember what was changed."""
    ip = _command("ip")
    if subprocess.run([ip, "link", "show", "dev", BRIDGE], capture_output=True).returncode:
        # Without an address of its own a bridge takes the lowest of its ports': it would change when a pod
        # goes, and the other pods would send to an address that nobody has any more for up to a minute.
        address = ["address", BRIDGE_MAC]
        subprocess.run([ip, "link", "add", BRIDGE, *address, "type", "bridge"], check=True)
    subprocess.run([ip, "addr", "replace", f"{NODE_IP}/16", "dev", BRIDGE], check=True)
    subprocess.run([ip, "link", "set", BRIDGE, "up"], check=True)
    for setting in _SETTINGS:
        switch = Path("/proc/sys", setting)
        if switch.exists():
            (state / setting.replace("/", ".")).write_text(switch.read_text())
            switch.write_text("1")
    _ask_for_policies()


def _ask_for_policies() -> None:
    """Have the first packet of each connection wait for what enforces NetworkPolicies.

    Raises:
        MissingRequirementsError: The kernel cannot.
    """
    for rule in _ASKED:
        command = [_command("iptables"), "-w", "-t", "mangle", "-A", *rule, *_NEW]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise MissingRequirementsError(
                "the kernel cannot queue packets for NetworkPolicies (CONFIG_NETFILTER_XT_TARGET_NFQUEUE, "
                f"CONFIG_NETFILTER_NETLINK_QUEUE): {done.stderr.strip()}"
            )


def network_down(state: Path) -> None:
    """Undo `network_up` and remove every rule of the cluster's."""
    subprocess.run([_command("ip"), "link", "del", BRIDGE], capture_output=True)
    for setting in _SETTINGS:
        before = state / setting.replace("/", ".")
        if before.exists():
            Path("/proc/sys", setting).write_text(before.read_text())
    for family in ("iptables", "ip6tables"):
        _remove_rules(family)


def _remove_rules(family: str) -> None:
    saved = subprocess.run([_command(f"{family}-save")], capture_output=True, text=True)
    if saved.returncode or not any(mark in saved.stdout for mark in _OURS):
        return
    kept = "".join(
        f"{rule}\n" for rule in saved.stdout.splitlines() if not any(mark in rule for mark in _OURS)
    )
    subprocess.run([_command(f"{family}-restore")], input=kept, text=True, check=True)
