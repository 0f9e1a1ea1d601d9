"""The cluster's configuration files."""

from __future__ import annotations

import json
import stat

import pytest

from tests.cluster import configuration
from tests.cluster.configuration import configure


@pytest.fixture
def state(monkeypatch, tmp_path):
    monkeypatch.setattr(configuration, "DIR", tmp_path)
    monkeypatch.setattr(configuration, "KUBECONFIG", tmp_path / "kubeconfig")
    configure(tmp_path / "bin")
    return tmp_path


def test_tokens_are_for_their_owner_only_and_new_each_time(state):
    first = (state / "tokens.csv").read_text()
    for name in ("tokens.csv", "kubeconfig"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    configure(state / "bin")
    assert (state / "tokens.csv").read_text() != first


def test_only_the_second_registry_is_locked(state):
    assert "auth" not in json.loads((state / "registry.json").read_text())
    assert "htpasswd" in json.loads((state / "locked-registry.json").read_text())["auth"]


def test_the_kubelet_has_a_control_group_of_its_own(state):
    kubelet = json.loads((state / "kubelet.yaml").read_text())
    assert kubelet["cgroupRoot"] not in {"", "/"}
    assert kubelet["podLogsDir"].startswith(str(state))
