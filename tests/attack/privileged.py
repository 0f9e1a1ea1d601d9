"""`strake` with steps that nothing is kept from: what a privileged container without namespaces would be.

Attacks that get nothing from the real one must get something here, else they show nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from strake_builder.cli.main import main
from strake_builder.sandbox import crun, spec

NAMES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"""
"""The capabilities, by their numbers."""
_real = spec.runtime_spec


def weakened(*arguments: Any) -> dict[str, Any]:
    """Return the bundle of a step whose namespaces are those that crun insists on, without any restriction."""
    found = _real(*arguments)
    every = _every_capability()
    found["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), every)
    found.pop("hooks", None)
    for mount in found["mounts"]:
        options = mount.get("options", [])
        mount["options"] = [_open(each) for each in options if each not in {"nodev", "rnodev", "ro"}]
        if mount["destination"] == "/proc":
            mount.update(type="bind", source="/proc", options=["rbind"])
    found["linux"] = {"namespaces": [{"type": "mount"}, {"type": "uts"}]}
    return found


def _open(option: str) -> str:
    return "rw" if option == "rro" else option


def _every_capability() -> list[str]:
    """Return what this machine lets its root have."""
    status = Path("/proc/self/status").read_text()
    bounding = int(status.partition("CapBnd:")[2].split()[0], 16)
    return [f"CAP_{name}" for number, name in enumerate(NAMES.split()) if bounding >> number & 1]


if __name__ == "__main__":
    vars(crun).update(runtime_spec=weakened, filtered=lambda _, start: start())
    main(sys.argv[1:])
