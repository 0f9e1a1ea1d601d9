"""How the cluster's processes wait for each other."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.cluster import processes
from tests.cluster.processes import NotReadyError, _accepts, _wait


def test_a_socket_is_waited_for_until_somebody_listens(tmp_path):
    path = tmp_path / "socket"
    assert _accepts(path) is not None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert _accepts(path) is not None, "it is there, and nobody listens"
        late = threading.Timer(0.2, server.listen)
        late.start()
        _wait(lambda: _accepts(path), path, tmp_path / "log")
        late.join()
        assert _accepts(path) is None


def test_what_never_answers_is_named_with_its_log(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "START_SECONDS", 0)
    with pytest.raises(NotReadyError, match=rf"socket did not answer within 0 s .*{tmp_path}/log"):
        _wait(lambda: _accepts(tmp_path / "socket"), tmp_path / "socket", tmp_path / "log")
