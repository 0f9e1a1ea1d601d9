"""The operator's program: settings that make no sense end it at once; it looks around before it starts anything."""

from __future__ import annotations

import asyncio

import pytest

from strake_operator import main
from strake_operator.errors import ClusterError


def test_a_mistake_in_the_settings_ends_it_with_a_sentence(tmp_path, monkeypatch):
    file = tmp_path / "registries.yaml"
    file.write_text("registries: {docker.io: {mirror: [m.example]}}")
    monkeypatch.setenv("STRAKE_BUILDER_IMAGE", "r.example/strake:1")
    monkeypatch.setenv("STRAKE_REGISTRIES_FILE", str(file))
    monkeypatch.setenv("LOGNAME", "somebody")
    with pytest.raises(SystemExit) as raised:
        main.main()
    message = f"strake-operator: STRAKE_REGISTRIES_FILE {file}: registries[docker.io].mirror: there is no such field"
    assert str(raised.value).startswith(message)


def test_nothing_starts_before_the_cluster_told_what_goes_on(monkeypatch):
    """An API server that does not answer at once must not make it look as if nothing went on."""
    asked: list[str] = []

    class Cluster:
        async def find_policies(self):
            asked.append("policies")
            if len(asked) == 1:
                raise ClusterError("reading the BuildPolicies: 503")

        async def find_jobs(self):
            asked.append("jobs")

    monkeypatch.setattr(main, "RETRY_SECONDS", 0)
    asyncio.run(main._look_around(Cluster()))  # type: ignore[arg-type] # as far as it goes
    assert asked == ["policies", "policies", "jobs"]
