"""What several contract suites share."""

from __future__ import annotations

import pytest

from tests.fixtures.content.snapshots import KINDS, layer_of


@pytest.fixture(params=KINDS)
def step(request, tmp_path):
    """Run a step on a backend: `step(layers, act)`."""
    work = tmp_path / "work"
    work.mkdir()
    return lambda lowers, act, **options: layer_of(request.param, work, lowers, act, **options)
