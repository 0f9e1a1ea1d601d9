"""What a cache mount of a gigabyte costs to bring to an empty machine, beside a build that fills it again.

    .venv/bin/python -m benchmarks.cache_mounts [--megabytes 1000]

A step takes files from a server on loopback unless its cache mount has them, as package managers do. Each row
is a build with a work directory of its own, which shares nothing with the others but a registry on loopback:

    fills       the mount is empty, and kept
    without     --no-cache-mounts: everything is fetched again
    restores    the mount is restored, and nothing is new
    adds one    the mount is restored, and a file of 10 MB is new

Seconds are of the whole build, processor seconds of the builder and its steps. Loopback makes fetching nearly
free: on a network, what is fetched from servers and pulled from the registry costs its bytes over the
bandwidth of each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

_FILE: Final = 10
"""Megabytes of one file."""
_STRAKE: Final = Path(sys.executable).parent / "strake"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Print nothing."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="what the mount holds (default: 1000)")
    files = parser.parse_args().megabytes // _FILE
    with tempfile.TemporaryDirectory(prefix="bench-mounts-") as temporary, running_registry() as registry:
        directory = Path(temporary)
        base = f"{registry.host}/bench/tiny:1"
        push_image("tiny", base)
        source = directory / "files"
        source.mkdir()
        for number in range(files + 1):
            (source / str(number)).write_bytes(os.urandom(_FILE * 1_000_000))
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(source)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("| build | seconds | CPU s | fetched MB | pulled MB | pushed MB |\n|---|---|---|---|---|---|")
        for name, count, flags in (
            ("fills", files, ()),
            ("without", files, ("--no-cache-mounts",)),
            ("restores", files, ()),
            ("adds one", files + 1, ()),
        ):
            context = directory / name
            context.mkdir()
            url = f"http://127.0.0.1:{server.server_port}"
            fetch = f"[ -e $i ] || {{ wget -q {url}/$i && echo got; }}"
            # the build's name makes it another step, so that it runs
            run = f"cd /c; : {name}; for i in $(seq 0 {count - 1}); do {fetch}; done"
            (context / "Dockerfile").write_text(f"FROM {base}\nRUN --mount=type=cache,target=/c {run}\n")
            command = [
                str(_STRAKE),
                "build",
                "--context",
                str(context),
                "--work-dir",
                str(directory / "work"),
            ]
            command += ["--insecure-registry", registry.host, "--destination", f"{registry.host}/bench/app:1"]
            command += ["--cache-repo", f"{registry.host}/bench/cache", "--log-format", "json", *flags]
            print(_row(name, command), flush=True)
        server.shutdown()


def _row(name: str, command: list[str]) -> str:
    """Run a build and return its line of the table."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    events = [json.loads(line) for line in done.stdout.splitlines()]
    moved = {
        each["action"]: each["transferred"] / 1e6 for each in events if each["type"] == "CacheMountMoved"
    }
    fetched = _FILE * sum(each["type"] == "OutputLine" and each["text"] == "got" for each in events)
    pulled, pushed = moved.get("restored", 0), moved.get("kept", 0)
    return f"| {name} | {seconds:.1f} | {used:.1f} | {fetched} | {pulled:.1f} | {pushed:.1f} |"


if __name__ == "__main__":
    main()
