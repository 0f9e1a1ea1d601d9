"""Strake as its image has it: its own dependencies, no others, all compiled to bytecode, the sources copied.

A virtual environment for development has more in it, and that counts: httpx, for one, imports click and
rich where it finds them, which costs a start of the command 60 ms. The copy keeps a run of the benchmark
whole while somebody works on the sources.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]


@functools.cache
def installed_strake() -> Path:
    """Install the sources as they are now; return the directory with `strake` and its `python`."""
    locked = _ROOT / "requirements/builder.txt"
    # two checkouts that are measured at a time must not share it
    key = hashlib.sha256(locked.read_bytes() + f"{sys.version} {_ROOT}".encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strake/benchmark" / key
    uv = [Path(sys.executable).parent / "uv"]
    install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", home]
    if not (home / "bin/strake").exists():
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([*install, "--require-hashes", "--requirements", locked], check=True)
    subprocess.run([*install, "--no-deps", "--reinstall", _ROOT], check=True)
    return home / "bin"
