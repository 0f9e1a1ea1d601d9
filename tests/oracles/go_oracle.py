"""Starts the Go programs beside this file, each built once and kept in the cache by the hash of its sources."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.cluster.requirements import go_command
from tests.fixtures.building.untimed import untimed

HERE = Path(__file__).parent
ORACLES = ("buildkit", "names")


class GoOracle:
    """Other people's packages, one question at a time.

    Args:
        name: The program's directory, of ORACLES.
    """

    def __init__(self, name: str) -> None:
        self._process = subprocess.Popen(
            [oracle_program(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def ask(self, operation: str, **question: Any) -> dict[str, Any]:
        """Return {"ok": …} or {"error": message}."""
        line = json.dumps({"op": operation, "escape": "\\", **question}) + "\n"
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "panic" not in answer, answer
        return answer

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def oracle_program(name: str) -> Path:
    """Return the program of an oracle, compiled unless it was from the same sources before."""
    sources = HERE / name
    digest = hashlib.sha256()
    for source in sorted(sources.iterdir()):
        digest.update(f"{source.name}\0{source.stat().st_size}\0".encode() + source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "strake" / "oracles" / digest.hexdigest()[:16]
    binary = directory / sources.name
    if not binary.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with untimed(), (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not binary.exists():
                unfinished = directory / f"{sources.name}.unfinished"
                command = [go_command(), "build", "-o", str(unfinished), "."]
                subprocess.run(command, cwd=sources, check=True)
                unfinished.rename(binary)
    return binary
