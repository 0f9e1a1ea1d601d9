"""What a test needs of the machine, as markers that nobody writes by hand.

    root        root, or a user namespace that maps many users: mounts, owners, devices
    registry    a docker-registry on loopback, which the test starts
    go          Go, and the modules that a helper program is compiled from
    cluster     the test cluster

It follows from where a test is and by what its module imports. `pytest -m "not root"` and
the like choose by it; `make unit` runs what needs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

MARKERS = {
    "root": "needs root: mounts, owners, devices",
    "registry": "starts a registry on loopback",
    "go": "needs Go, to compile a helper program",
    "cluster": "needs the test cluster of tests/cluster",
}
"""Marker → its line in `pytest --markers`."""
BY_PATH = {
    "attack/test_cache_mounts.py": ("root",),
    "attack/test_indexes.py": ("registry",),
    "attack/test_networks.py": ("registry",),
    "attack/test_paths.py": ("root", "registry"),
    "attack/test_secrets.py": ("registry",),
    "attack/test_signatures.py": ("registry",),
    "attack/test_steps.py": ("root", "registry"),
    "conformance": ("root", "registry"),
    "contract/test_oci": ("registry",),
    "contract/test_rootfs": ("root",),
    "contract/test_step_caches.py": ("registry",),
    "e2e": ("root", "registry", "go", "cluster"),
    "integration": ("root", "registry"),
    "oracles/test_buildkit.py": ("go",),
    "oracles/test_directory.py": ("go",),
    "oracles/test_names.py": ("go",),
    "property/test_step_changes.py": ("root",),
    "property/test_unpacking.py": ("root",),
    "unit/strake_builder/cli/test_commands.py": ("root",),
    "unit/strake_builder/isolation/chroot": ("root",),
    "unit/strake_builder/rootfs": ("root",),
    "unit/strake_builder/sandbox/test_socket_filter.py": ("root",),
    "unit/strake_builder/solve/cache_mounts": ("root",),
    "unit/strake_builder/solve/images": ("root",),
    "unit/strake_builder/solve/workspace": ("root",),
    "unit/strake_builder/test_interrupt.py": ("root",),
    "unit/strake_builder/test_stopped_loops.py": ("root",),
}
"""Beginning of a path in tests/ → what every test there needs."""
IMPORTS = {
    "tests.fixtures.building.go_tools": "go",
    "tests.fixtures.servers.admission": "go",
    "tests.fixtures.servers.object_stores": "go",
    "tests.fixtures.servers.signing": "go",
    "tests.helm.charts": "go",
    "tests.helm.findings": "go",
    "tests.oracles.go_oracle": "go",
}
"""Module → what tests need that use something of it."""


def needs(path: str, origins: Iterable[str]) -> frozenset[str]:
    """Return the markers of a test.

    Args:
        path: The test's file, from tests/, with slashes.
        origins: The modules that define what the test's own module holds.
    """
    by_path = {need for prefix, wanted in BY_PATH.items() if path.startswith(prefix) for need in wanted}
    return frozenset(by_path | {IMPORTS[name] for name in origins if name in IMPORTS})
