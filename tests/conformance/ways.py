"""Which cases show something about a way of isolation, and what a way does otherwise, by its nature.

Cases without RUN are left to `test_images.py`: isolation is about the processes of steps. Of the others a run builds
those about RUN itself, in containers and in pods, and in a chroot, whose roots no other test has, all of them in
containers. `make conformance` builds every case in every way. docs/isolation.md tells what is listed here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from types import MappingProxyType

from tests.conformance.cases import CASES, Case
from tests.conformance.test_images import expected_of

NESTED, NESTED_CONTAINER_PROC = "nested", "nested-container-proc"
CHROOT, CHROOT_OWN_USERS = "chroot", "chroot-own-users"
"""The second in a container that has a user namespace of its own, as a pod with `hostUsers: false`."""
_NESTED = (NESTED, NESTED_CONTAINER_PROC)
_CHROOT = (CHROOT, CHROOT_OWN_USERS)
WITH_RUN = tuple(name for name, case in CASES.items() if "RUN" in case.dockerfile)
ABOUT_RUN = tuple(
    name for name in WITH_RUN if name.startswith(("run_", "mount_", "network_", "cache_", "bind_"))
)
REFUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        **{
            (way, "network_none"): "RUN --network=none cannot be had in the isolation chroot"
            for way in _CHROOT
        },
        # The shell is no first process of a PID namespace, which no signal of its own ends.
        **{
            (way, "run_kill_of_pid_1"): "ended with exit code 137"
            for way in (NESTED_CONTAINER_PROC, *_CHROOT)
        },
    }
)
"""What a way refuses by its nature: (way, case) → words of the refusal."""
OTHERWISE: Mapping[tuple[str, str], Mapping[str, bytes | None]] = MappingProxyType(
    {
        # In a user namespace the kernel refuses device nodes to everybody.
        **{(way, "run_capabilities"): {"/n": None} for way in (*_NESTED, CHROOT_OWN_USERS)},
        # A read-only bind is a copy that can be written to, a secret a link to a file in memory.
        **{(way, "mount_bind"): {"/1": b"1\nrw\n"} for way in _CHROOT},
        **{(way, "mount_secret"): {"/1": b"HUNTER20 0 777\n", "/2": b"0 0 777\n"} for way in _CHROOT},
    }
)
"""What a way does otherwise, by its nature: (way, case) → path → content; None where nothing is there."""


OTHER_LAYERS = frozenset(
    {"delete_then_recreate_dir", "add_archive_over_merged_usr", "hardlinks_across_layers"}
)
"""Cases whose layers `overlay` and `scan` write differently: a directory made anew is opaque in one, and the other
names what it lost; a file under two names is one or two (`test_images.OTHERWISE`)."""


def chosen(usual: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cases that a run of the tests builds in a way: the usual ones, or all."""
    return tuple(CASES) if os.environ.get("STRAKE_CONFORMANCE") else usual


def expected_in(way: str, name: str) -> dict:
    """Return what a case's image must be in a way of isolation."""
    expected = expected_of(name, "scan" if way in _CHROOT else "overlay")
    for path, content in OTHERWISE.get((way, name), {}).items():
        if content is None:
            del expected["changed"][path]
            continue
        expected["changed"][path] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return expected


def flags(case: Case, context: str) -> list[str]:
    """Return the flags that a case is built with, beside those that say where from and where to.

    Args:
        case: the case.
        context: where the builder has its context.
    """
    words = [word for argument in case.args for word in ("--build-arg", argument)]
    words += ["--target", case.target] if case.target else []
    words += [f"--build-context={name}={context}/{name}" for name in case.contexts]
    return words + [word for name in case.secrets for word in ("--secret", f"id={name},env=SECRET_{name}")]


def shares_cache(case: Case) -> bool:
    """Return whether a case may find what others left in a cache: not one that looks at its cache mounts."""
    return "type=cache" not in case.dockerfile
