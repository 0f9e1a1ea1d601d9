"""What several contract suites share."""

from __future__ import annotations

import pytest

from tests.fixtures.content.snapshots import READ_OR_NOT, layer_of


@pytest.fixture(params=READ_OR_NOT, ids=lambda way: way[0] if way[1] else f"{way[0]}, unread")
def step(request, tmp_path):
    """Run a step on a backend: `step(layers, act)`."""
    work = tmp_path / "work"
    work.mkdir()
    kind, is_read = request.param
    return lambda lowers, act, **more: layer_of(kind, work, lowers, act, is_read=is_read, **more)
