"""Which worker of pytest-xdist runs which test, and in what order.

The tests of a file stay together, since they share fixtures, and a worker takes the next file when it is done with one.
What mostly waits (builds in the test cluster) begins first, so that it overlaps with what computes. Files of many short
tests come last: they fill what is left.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

ALONE = {
    "tests/e2e/registries/test_base_volumes.py": "operator",
    "tests/e2e/outcomes/test_changes.py": "operator",
    "tests/e2e/registries/test_default_cache.py": "operator",
    "tests/e2e/isolation/test_gateway.py": "operator",
    "tests/e2e/isolation/test_isolation.py": "operator",
    "tests/e2e/isolation/test_networks.py": "operator",
    "tests/e2e/outcomes/test_kept_logs.py": "operator",
    "tests/e2e/outcomes/test_late.py": "operator",
    "tests/e2e/sources/test_private_git.py": "operator",
    "tests/e2e/registries/test_registries.py": "operator",
    "tests/e2e/isolation/test_runtime_class.py": "operator",
    "tests/e2e/isolation/test_signing.py": "operator",
    "tests/e2e/trouble/test_attacks.py": "operator",
    "tests/e2e/trouble/test_queue.py": "operator",
    "tests/e2e/isolation/test_origin.py": "operator",
}
"""Files that one worker runs, one after the other: they have the operator alone, so a second worker would only wait."""
BY_PARAMETER = ("tests/conformance/test_images.py", "tests/conformance/test_isolation.py")
"""Files that take so long that several workers share them: by a test's last parameter, with which it shares what is cached."""
LONG = ("tests/e2e/trouble/test_lost_node.py", "tests/e2e/trouble/test_trouble.py")
"""Files that wait for minutes: they begin before the others of their suite, so that nobody waits for them at the end."""
SUITES = ("conformance", "integration", "attack", "e2e", "contract", "property", "oracles", "fuzz", "unit")
"""The order in which the others begin. Those of e2e do when the operator is free again."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives files to workers, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in BY_PARAMETER:
            return f"{file}-{nodeid.rpartition('-')[2]}"
        return ALONE.get(file, file)


def sort_key(path: str) -> tuple[int, bool]:
    """Return a key to sort tests by.

    Args:
        path: A test's file, from the root of the repository, with slashes.
    """
    suite = path.removeprefix("tests/").partition("/")[0]
    if path in ALONE:
        return -1, False
    return SUITES.index(suite) if suite in SUITES else len(SUITES), path not in LONG
