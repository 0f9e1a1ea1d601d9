"""Whole images built in ordinary containers: each way of isolation builds what the reference built.

Cases without RUN are left to `test_images.py`: isolation is about the processes of steps. In a nested user
namespace the file systems are those of `test_images.py`, so there it is the cases about RUN itself.
`make conformance` runs every case in every way.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conformance.cases import CASES, Case
from tests.conformance.contexts import write_context
from tests.conformance.test_images import Bases, bases, check_image, expected_of
from tests.fixtures.building.containers import Container, Kind

__all__ = ["bases"]
WAYS = MappingProxyType(
    {
        "nested": Kind(own_users=True, unmasked=True),
        "nested-container-proc": Kind(),
        "chroot": Kind("default"),
    }
)
WITH_RUN = [name for name, case in CASES.items() if "RUN" in case.dockerfile]
ABOUT_RUN = [name for name in WITH_RUN if name.startswith(("run_", "mount_", "network_", "cache_", "bind_"))]
CHOSEN = [
    (name, way)
    for way in WAYS
    for name in (
        CASES if os.environ.get("STRAKE_CONFORMANCE") else WITH_RUN if way == "chroot" else ABOUT_RUN
    )
]
REFUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("chroot", "network_none"): "RUN --network=none cannot be had in the isolation chroot",
        # The shell is no first process of a PID namespace, which no signal of its own ends.
        ("chroot", "run_kill_of_pid_1"): "ended with exit code 137",
        ("nested-container-proc", "run_kill_of_pid_1"): "ended with exit code 137",
    }
)
"""What a way refuses by its nature: (way, case) → words of the refusal."""
OTHERWISE: Mapping[tuple[str, str], Mapping[str, bytes | None]] = MappingProxyType(
    {
        # In a user namespace the kernel refuses device nodes to everybody.
        ("nested", "run_capabilities"): {"/n": None},
        ("nested-container-proc", "run_capabilities"): {"/n": None},
        # A read-only bind is a copy that can be written to, a secret a link to a file in memory.
        ("chroot", "mount_bind"): {"/1": b"1\nrw\n"},
        ("chroot", "mount_secret"): {"/1": b"HUNTER20 0 777\n", "/2": b"0 0 777\n"},
    }
)
"""What a way does otherwise, by its nature: (way, case) → path → content; None where nothing is there."""


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    return {way: tmp_path_factory.mktemp(f"cache-{way}") for way in WAYS}


@pytest.mark.parametrize(("name", "way"), CHOSEN)
def test_image_is_the_reference_image(
    name: str, way: str, bases: Bases, caches: dict[str, Path], tmp_path: Path
):
    case = CASES[name]
    backend = "scan" if way == "chroot" else "overlay"
    expected = expected_of(name, backend)
    for path, content in OTHERWISE.get((way, name), {}).items():
        if content is None:
            del expected["changed"][path]
            continue
        expected["changed"][path] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    context = tmp_path / "context"
    context.mkdir()
    write_context(case, context, bases.names)
    destination = f"{bases.registry.host}/result/{name.replace('_', '-')}:{way}"
    work = None if way == "chroot" else tmp_path / "work"
    is_shared = "type=cache" not in case.dockerfile  # on a volume, a cache mount is a link there
    if work is not None:
        work.mkdir()
    done = Container(WAYS[way], work).run(
        [*command(case, bases, destination), *(["--cache-dir", "/strake/cache"] if is_shared else [])],
        {"/strake/context": context, **({"/strake/cache": caches[way]} if is_shared else {})},
        environment={f"SECRET_{secret}": value for secret, value in case.secrets.items()},
    )
    if (way, name) in REFUSED:
        assert REFUSED[way, name] in done.stderr
        return
    if expected["outcome"] == "failure":
        assert done.returncode in range(2, 8), done.stdout + done.stderr
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    check_image(destination, expected, bases)


def command(case: Case, bases: Bases, destination: str) -> list[str]:
    words = ["/strake/strake", "build", "--context", "/strake/context", "--destination", destination]
    words += ["--insecure-registry", bases.registry.host]
    for argument in case.args:
        words += ["--build-arg", argument]
    if case.target:
        words += ["--target", case.target]
    for name in case.secrets:
        words += ["--secret", f"id={name},env=SECRET_{name}"]
    return words
