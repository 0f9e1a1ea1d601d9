"""One program of each kind for all tests of this directory."""

from __future__ import annotations

import pytest

from tests.oracles.go_oracle import GoOracle


@pytest.fixture(scope="session")
def buildkit():
    oracle = GoOracle("buildkit")
    yield oracle
    oracle.close()


@pytest.fixture(scope="session")
def names():
    oracle = GoOracle("names")
    yield oracle
    oracle.close()
