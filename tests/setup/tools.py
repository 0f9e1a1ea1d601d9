"""Gets the programs that a whole run of the tests compares with, before the tests begin.

    python -m tests.setup.tools

Compilers beside tests would keep both processors for up to an hour where nothing is cached: whatever has a time limit
then, of a test or of Strake itself, fails for want of a processor. A run of some tests compiles what these need.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from tests.cluster.binaries import binaries
from tests.fixtures.building import go_tools, node_tools
from tests.helm.findings import checkov
from tests.oracles.go_oracle import ORACLES, oracle_program

_PROGRESS_SECONDS = 1.0


def tools() -> dict[str, Callable[[], object]]:
    """Return what gets each program, by its name for people; one after the other, since each takes all processors."""
    return {
        "the test cluster": binaries,
        **go_tools.PROGRAMS,
        **{f"the oracle {name}": partial(oracle_program, name) for name in ORACLES},
        "axe": node_tools.axe_script,
        "Azurite": node_tools.azurite_blob,
        "checkov": checkov,
    }


def main() -> None:
    """Get what is not there; tell of what took time."""
    wanted = tools()
    for number, (name, get) in enumerate(wanted.items(), 1):
        begun = time.monotonic()
        get()
        if (seconds := time.monotonic() - begun) > _PROGRESS_SECONDS:
            print(f"{number}/{len(wanted)} {name}: {seconds:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
