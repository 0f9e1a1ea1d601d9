"""Write strake-builder.json anew: what nested builder pods may ask of a kernel, where nodes filter all pods.

python deploy/seccomp/generate.py                   write it, for amd64 and arm64
python deploy/seccomp/generate.py --check           say whether it is up to date (exit status 1 if not)
python deploy/seccomp/generate.py --machine s390x   print that of another processor, as uname names it

It is the filter of a step, containerd's default list, and what a container runtime inside a user namespace
needs. The kernel allows those calls only in namespaces that the caller made. Source of the form: OCI
runtime-spec 1.1, config-linux.md, "Seccomp", which containerd and CRI-O read a Localhost profile as.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from strake_builder.sandbox.system_calls import seccomp

TARGET = Path(__file__).with_name("strake-builder.json")
# libseccomp makes one filter for processors of one byte order.
MACHINES: Final = ("x86_64", "aarch64")
NESTING: Final = frozenset(
    [
        "clone",
        "clone3",
        "unshare",
        "setns",
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "mount_setattr",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "sethostname",
        "setdomainname",
    ]
)
"""What makes namespaces and mounts, and names a host."""
_VSOCK: Final = 40
"""AF_VSOCK reaches the machine under a virtual one: containerd refuses it, too."""


def profile(machines: tuple[str, ...] = MACHINES) -> dict[str, Any]:
    """Return the profile for nodes with one of these processors.

    Raises:
        ValueError: The calls of a processor are not known.
    """
    filters = [seccomp(machine) for machine in machines]
    if None in filters:
        raise ValueError(f"the system calls of {', '.join(machines)} are not known")
    known = [each for each in filters if each is not None]
    plain = [rule for each in known for rule in each["syscalls"] if "args" not in rule]
    allowed = {name for rule in plain if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    refused = next(rule for rule in plain if rule["action"] != "SCMP_ACT_ALLOW")
    chosen = [
        rule for rule in known[0]["syscalls"] if "args" in rule and not NESTING.intersection(rule["names"])
    ]
    not_vsock = {"index": 0, "value": _VSOCK, "op": "SCMP_CMP_NE"}
    return {
        "defaultAction": known[0]["defaultAction"],
        "defaultErrnoRet": known[0]["defaultErrnoRet"],
        "architectures": [name for each in known for name in each["architectures"]],
        "syscalls": [
            {"names": sorted((allowed | NESTING) - {"socket"}), "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [not_vsock]},
            {**refused, "names": sorted(set(refused["names"]) - NESTING)},
            *chosen,
        ],
    }


def rendered(machines: tuple[str, ...] = MACHINES) -> str:
    """Return the file's content."""
    return json.dumps(profile(machines), indent=1) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--machine")
    flags = parser.parse_args()
    if flags.machine:
        try:
            sys.stdout.write(rendered((flags.machine,)))
        except ValueError as error:
            sys.exit(str(error))
    elif flags.check:
        current = TARGET.exists() and TARGET.read_text() == rendered()
        sys.exit(0 if current else f"{TARGET} is out of date: run deploy/seccomp/generate.py")
    else:
        TARGET.write_text(rendered())
