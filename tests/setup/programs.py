"""The programs that demo, tests and benchmarks start, each with the Debian package that has it.

`make setup` installs what stands in these tables and nothing else. That a program is missing from them shows
only on a machine that lacks it, so a test run also watches which programs it starts (`tests/setup/started.py`).
The standard library is enough to import this module: `make setup` does, before there is a virtual environment.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

TOOLS = {
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "crun": "crun",
    "docker-registry": "docker-registry",
    "fish": "fish",
    "gcc": "gcc",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "make": "make",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "pgrep": "procps",
    "pkg-config": "pkg-config",
    "readelf": "binutils",
    "skopeo": "skopeo",
    "ssh": "openssh-client",
    "ssh-add": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "zsh": "zsh",
}
"""Program → package, for demo and tests."""
BENCHMARK_TOOLS = {
    "buildah": "buildah",
    "mkfs.ext4": "e2fsprogs",
    "runc": "runc",
}
"""Program → package, for what only benchmarks compare with."""
FILES = {
    Path("/bin/busybox"): "busybox-static",
    Path("/usr/include/pthread.h"): "libc6-dev",  # gcc only recommends it
    Path("/usr/include/seccomp.h"): "libseccomp-dev",
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"): "debian-archive-keyring",
}
"""File that no program's name leads to → package."""
MODULES = {"ensurepip": "python3-venv", "pip": "python3-pip"}
"""Parts of Python's standard distribution that Debian packages apart."""


def search_path(path: str | None = None) -> str:
    """Return a PATH, by default the process's, with the directories of system programs added."""
    return os.pathsep.join([os.environ.get("PATH", "") if path is None else path, "/usr/sbin", "/sbin"])


def missing_packages(*, benchmarks: bool = False) -> list[str]:
    """Return the Debian packages that this machine lacks, sorted."""
    tools = TOOLS | BENCHMARK_TOOLS if benchmarks else TOOLS
    missing = {package for tool, package in tools.items() if shutil.which(tool, path=search_path()) is None}
    missing |= {package for file, package in FILES.items() if not file.exists()}
    missing |= {package for module, package in MODULES.items() if find_spec(module) is None}
    return sorted(missing)


def declared_packages() -> set[str]:
    """Return every package that the tables name."""
    return {*TOOLS.values(), *BENCHMARK_TOOLS.values(), *FILES.values(), *MODULES.values()}
