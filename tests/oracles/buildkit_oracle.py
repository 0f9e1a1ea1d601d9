"""Starts the Go program beside this file, built once and kept in the cache by the hash of its sources."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "buildkit"


class BuildKitOracle:
    """BuildKit's own packages, one question at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [_binary()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
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


def _binary() -> Path:
    digest = hashlib.sha256()
    for source in sorted(SOURCES.iterdir()):
        digest.update(f"{source.name}\0{source.stat().st_size}\0".encode() + source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "strake" / "oracles" / digest.hexdigest()[:16]
    binary = directory / "buildkit"
    if not binary.exists():
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / f"buildkit.{os.getpid()}"
        subprocess.run(["nice", "go", "build", "-o", str(unfinished), "."], cwd=SOURCES, check=True)
        unfinished.rename(binary)
    return binary
