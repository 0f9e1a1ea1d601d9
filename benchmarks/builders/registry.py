"""A registry in a network namespace of its own, so that the kernel counts what is moved to and from it.

 this process, the builders                          the registry
 ┌─────────────────────────┐   a pair of veth   ┌──────────────────┐
 │ builders0  198.18.0.1   │────────────────────│ registry0 …0.2   │
 └─────────────────────────┘                    └──────────────────┘

The counters are the interface's: no proxy costs time, and protocol headers (about one part in a thousand)
count. The process itself goes into new namespaces first (`enter_namespaces`), so nothing of the machine's
network changes and nothing reaches beyond it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strake_builder.rootfs.mounts import syscalls

_CLONE_NEWNET: Final = 0x40000000
_OURS: Final = "builders0"
_OUR_ADDRESS: Final = "198.18.0.1/30"  # 198.18.0.0/15 is set aside for benchmarks (RFC 2544)
_ITS_ADDRESS: Final = "198.18.0.2"
_PORT: Final = 5000
_STARTING_SECONDS: Final = 20
_HYBRID_CGROUPS: Final = b"/sys/fs/cgroup/unified"


@dataclass(frozen=True)
class Moved:
    """Bytes that went over the wire.

    Attributes:
        pulled: from the registry.
        pushed: to the registry.
    """

    pulled: int
    pushed: int

    def since(self, before: Moved) -> Moved:
        """Return what was moved after `before`."""
        return Moved(self.pulled - before.pulled, self.pushed - before.pushed)


@dataclass(frozen=True)
class CountedRegistry:
    """A running registry.

    Attributes:
        host: "address:port", as references name it; plain HTTP.
    """

    host: str

    def moved(self) -> Moved:
        """Return what was moved since it started."""
        for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == _OURS:
                columns = counters.split()
                return Moved(pulled=int(columns[0]), pushed=int(columns[8]))
        raise RuntimeError(f"the interface {_OURS} is gone")


def enter_namespaces() -> None:
    """Move this process into mount and network namespaces of its own, before it starts any thread."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS | _CLONE_NEWNET)
    except PermissionError:
        sys.exit("error: not root: the builders mount, and the registry gets a network namespace of its own")
    syscalls.mount(b"none", b"/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    if os.path.isdir(_HYBRID_CGROUPS):
        # crun refuses a machine with both cgroup versions
        with contextlib.suppress(OSError):
            syscalls.unmount(_HYBRID_CGROUPS)
    _ip("link", "set", "lo", "up")


@contextlib.contextmanager
def counted_registry() -> Iterator[CountedRegistry]:
    """Start an empty registry; it and its content are gone at the end."""
    program = shutil.which("docker-registry")
    if program is None:
        sys.exit("error: docker-registry is not installed (apt-get install docker-registry, or `make setup`)")
    with tempfile.TemporaryDirectory(prefix="strake-bench-registry-", dir="/var/tmp") as work:
        config = Path(work, "config.yml")
        config.write_text(json.dumps(_config(work)))  # JSON is YAML
        with Path(work, "log").open("wb") as log:
            process = subprocess.Popen(
                # it waits for its network: a line on its standard input
                ["unshare", "--net", "sh", "-c", 'read _; exec "$0" serve "$1"', program, str(config)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True,
            )
        try:
            _connect(process)
            yield CountedRegistry(f"{_ITS_ADDRESS}:{_PORT}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_STARTING_SECONDS)
            # gone with the registry's namespace, sooner or later: two cases must not meet
            subprocess.run(["ip", "link", "delete", _OURS], stderr=subprocess.DEVNULL, check=False)


def _config(work: str) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": f"{work}/content"},
            "cache": {"blobdescriptor": "inmemory"},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"{_ITS_ADDRESS}:{_PORT}", "secret": "for-benchmarks-only"},
    }


def _connect(process: subprocess.Popen[bytes]) -> None:
    """Join the registry's network namespace with ours, let it start, and wait until it answers."""
    _await_namespace(process.pid)
    _ip(
        *("link", "add", _OURS, "mtu", "65535", "type", "veth"),
        *("peer", "name", "registry0", "mtu", "65535", "netns", str(process.pid)),
    )
    _ip("address", "add", _OUR_ADDRESS, "dev", _OURS)
    _ip("link", "set", _OURS, "up")
    inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
    for words in (
        ["address", "add", f"{_ITS_ADDRESS}/30", "dev", "registry0"],
        ["link", "set", "registry0", "up"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run([*inside, "ip", *words], check=True)
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((_ITS_ADDRESS, _PORT), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("the registry did not start")


def _await_namespace(pid: int) -> None:
    ours, deadline = os.readlink("/proc/thread-self/ns/net"), time.monotonic() + _STARTING_SECONDS
    while os.readlink(f"/proc/{pid}/ns/net") == ours:
        if time.monotonic() > deadline:
            raise RuntimeError("the registry has no network namespace")
        time.sleep(0.005)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
