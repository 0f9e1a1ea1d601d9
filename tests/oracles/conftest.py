"""One BuildKit program for all tests of this directory."""

from __future__ import annotations

import pytest

from tests.oracles.buildkit_oracle import BuildKitOracle


@pytest.fixture(scope="session")
def buildkit():
    oracle = BuildKitOracle()
    yield oracle
    oracle.close()
