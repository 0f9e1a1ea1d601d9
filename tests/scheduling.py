"""Which worker of pytest-xdist runs which test, and in what order.

The tests of a file stay together, since they share fixtures, and a worker takes the next file when it is done with one.
What mostly waits (builds in the test cluster) goes on beside what computes, from the beginning to the end: one worker has
the operator alone, for the tests that change its settings, then half of them use it, and the others never wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from xdist.scheduler import LoadScopeScheduling

from tests.alone import alone

OPERATOR = "operator"
ALONE = ("tests/e2e/isolation/test_networks.py",)
"""Files whose tests are given out with those that must have the operator alone: a module's fixture is an address of the node."""
BY_PARAMETER = ("tests/conformance/test_images.py", "tests/conformance/test_isolation.py")
"""Files that take so long that several workers share them: by a test's last parameter, with which it shares what is cached."""
LONG = tuple(
    f"tests/e2e/{file}.py"
    for file in (
        "trouble/test_lost_node",
        "trouble/test_trouble",
        "trouble/test_refusals",
        "scale/test_handover",
        "scale/test_scale",
    )
)
"""Files that wait for minutes: they begin before the others of their suite, so that nobody waits for them at the end."""
SUITES = ("conformance", "integration", "attack", "e2e", "contract", "property", "oracles", "fuzz", "unit")
"""The order in which the others begin, but those of e2e: these do when the operator is free again."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives files to workers, in the order of the collection: first those that use the operator, where it is free."""

    def _assign_work_unit(self, node: Any) -> None:
        pending = {each: list(self._pending(each)) for each in self.assigned_work}
        is_free = OPERATOR not in {*self.workqueue, *chain.from_iterable(pending.values())}
        users = {each for each, files in pending.items() if any(map(uses_operator, files))}
        may_use = is_free and (node in users or 2 * (len(users) + 1) <= len(self.assigned_work))
        fitting = (file for file in self.workqueue if uses_operator(file) == may_use)
        self.workqueue.move_to_end(next(fitting, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)

    def _pending(self, node: Any) -> Iterator[str]:
        """Yield the files of a worker that it is not done with."""
        for file, tests in self.assigned_work[node].items():
            if not all(tests.values()):
                yield file

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in BY_PARAMETER:
            return f"{file}-{nodeid.rpartition('-')[2]}"
        return OPERATOR if has_operator_alone(nodeid) else file


def has_operator_alone(nodeid: str) -> bool:
    """Return whether a test is one of those that one worker runs, one after the other: a second one would only wait."""
    file, _, test = nodeid.partition("::")
    return file in ALONE or (uses_operator(file) and test.partition("[")[0] in alone(file))


def uses_operator(file: str) -> bool:
    """Return whether a file's tests build in the test cluster, or in one of their own: two at a time are too much."""
    return file.startswith("tests/e2e/")


def sort_key(nodeid: str) -> tuple[int, bool]:
    """Return a key to sort tests by, of a test's name as pytest has it."""
    path = nodeid.partition("::")[0]
    suite = path.removeprefix("tests/").partition("/")[0]
    if has_operator_alone(nodeid):
        return -1, False
    return SUITES.index(suite) if suite in SUITES else len(SUITES), path not in LONG
