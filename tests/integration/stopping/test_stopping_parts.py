"""Parts of a run that only ask servers: a timeout and a signal end them while a server is silent."""

from __future__ import annotations

import json
import signal
import socket
import subprocess

import pytest

from tests.fixtures.building.builds import STRAKE

SECONDS = 180
"""What only catches a part that hangs."""
DIGEST = f"sha256:{'0' * 64}"


@pytest.fixture
def mute():
    """A server that takes connections and says nothing, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(params=["SourceRequest", "IndexRequest"])
def part(request, mute, tmp_path):
    """Start a part that asks the server; return the process and what reads its result."""
    _, host = mute
    kinds: dict[str, dict[str, object]] = {
        "SourceRequest": {"source": {"http": {"url": f"http://{host}/app.tar"}}},
        "IndexRequest": {
            "images": [{"platform": "linux/amd64", "digest": DIGEST}],
            "output": {"destinations": [f"{host}/team/app:1"]},
        },
    }
    shared: dict[str, object] = {
        "registries": {"hosts": {host: {"insecure": True}}},
        "workDirectory": str(tmp_path / "work"),
        "kind": request.param,
        **kinds[request.param],
    }
    result = tmp_path / "result.json"

    def start(**more: object) -> subprocess.Popen[bytes]:
        (tmp_path / "request.json").write_text(json.dumps({**shared, **more}))
        return subprocess.Popen(
            [STRAKE, "execute", "--request", tmp_path / "request.json", "--result", result]
        )

    return start, lambda: json.loads(result.read_text())


def test_a_timeout(part):
    start, result = part
    assert start(timeoutSeconds=1).wait(SECONDS) == 10
    assert result()["reason"] == "TimedOut"


def test_a_signal(part, mute):
    start, result = part
    process = start()
    mute[0].settimeout(SECONDS)
    connection, _ = mute[0].accept()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 143
    connection.close()
    assert result()["reason"] == "Cancelled"
