"""A cluster of a few builds, which is only its API, and the server of `kubectl strake ui` that shows it in a browser.

Tests look at it, and `make screenshots` makes the pictures of docs/ of it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.browser.chromium import Chromium
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.api_server import ApiServer
from tests.unit.strake_kubectl.conftest import DIGEST, building, failed, imagebuild, pod, succeeded

LOG = b"""== steps: 9
#1/9 [build] WORKDIR /src  CACHED
#2/9 [build] COPY go.mod go.sum ./  CACHED
#3/9 [build] RUN go mod download  CACHED
#4/9 [build] COPY . .
#4 done in 0.3 s
#5/9 [build] RUN go vet ./... && go build -o /api ./cmd/api
#6/9 [assets] COPY web .
#6 done in 0.2 s
#7/9 [assets] RUN npm ci && npm run build
#7 | \x1b[1madded 214 packages\x1b[0m, and audited 215 packages in 9s
#7 | \x1b[33mwarn\x1b[0m  3 packages are looking for funding
#7 | \x1b[32m\xe2\x9c\x93\x1b[0m 61 modules transformed.
#7 | \x1b[2mdist/\x1b[22m\x1b[35mindex.css\x1b[39m   \x1b[1m\x1b[2m 8.42 kB\x1b[0m
#7 | \x1b[2mdist/\x1b[22m\x1b[36mindex.js\x1b[39m  \x1b[1m\x1b[2m142.60 kB\x1b[0m
#7 done in 11.8 s
#5 | \x1b[31m./cmd/api/main.go:42:2: unreachable code\x1b[0m
#5 done in 24.6 s
#8/9 [2] COPY --from=build /api /api
#8 done in 0.1 s
#9/9 [2] RUN /api selftest
#9 | \x1b[30;42m PASS \x1b[0m \x1b[4mstore\x1b[0m
"""
_SEQUENCES = (*(str(tens + number) for tens in (30, 40) for number in range(8)), "1", "2", "3", "4", "7")
COLOURED = b"#1/1 [build] RUN make\n" + b"".join(
    f"#1 | \x1b[{sequence}mcolour {sequence}\x1b[0m\n".encode() for sequence in _SEQUENCES
)
"""With every style that a page can have."""
FAILURE = {
    "reason": "RunStepFailed",
    "message": "the command ended with 2",
    "file": "Dockerfile",
    "line": 7,
    "instruction": "RUN make",
    "logTail": "\x1b[31mno rule to make target\x1b[0m",
}
HISTORY = [
    {"number": 3, "generation": 2, "phase": "Failed", "reason": "RunStepFailed"},
    {"number": 2, "generation": 2, "phase": "Succeeded", "reason": "Pushed", "digest": DIGEST},
]


def fill(api: ApiServer) -> None:
    """Have a build that goes on, one that failed, one for two platforms, and one that waits."""
    api.put(
        building(
            "api",
            startTime=_ago(seconds=90),
            steps={"total": 9, "done": 8, "cached": 3},
            progress="RUN /api selftest",
            source={"revision": "4f1d" * 10},
            job="api-run-3",
            isolation={"kind": "nested"},
            cacheRepository="registry.example/cache/team",
        )
    )
    api.pods.append(pod("api-1", state="running"))
    api.logs["api-1"] = LOG
    base = [{"reference": "debian:12", "digest": DIGEST}]
    web = failed("web", failure=FAILURE, history=HISTORY, baseImages=base, warnings=["an old syntax"])
    web["status"] |= {"startTime": _ago(minutes=30), "duration": "18s"}
    api.put(web)
    api.put(succeeded("db", startTime=_ago(hours=1)))
    for number, part in enumerate(("linux-amd64", "linux-arm64")):
        made = pod(f"db-{part}", created=f"2026-11-29T10:0{number}:00Z", part=part)
        made["metadata"]["labels"]["strake.dev/uid"] = "uid-db"
        api.pods.append(made)
        api.logs[f"db-{part}"] = COLOURED
    queue = {"position": 1, "since": _ago(minutes=2), "reason": "ClusterLimit"}
    api.put(imagebuild("later", phase="Queued", queue=queue))


@contextlib.contextmanager
def running_ui(api: ApiServer, browser: Chromium, directory: Path) -> Iterator[str]:
    """Start the program and let the browser in; yield the server's URL.

    Args:
        api: The cluster.
        browser: Which one.
        directory: For its kubeconfig.
    """
    variables = {"KUBECONFIG": str(api.kubeconfig(directory / "kubeconfig")), "PATH": "/usr/bin:/bin"}
    command = [str(STRAKE), "ib", "ui", "--no-browser"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            entrance = server.stdout.readline().strip()
            assert entrance.startswith("http://127.0.0.1:")
            browser.open(entrance)
            browser.until("return document.title === 'Builds · Strake'")
            yield entrance.partition("/?")[0]
        finally:
            browser.open("about:blank")  # no page's event stream delays the server's end
            server.terminate()


def _ago(**amount: int) -> str:
    return (datetime.now(UTC) - timedelta(**amount)).strftime("%Y-%m-%dT%H:%M:%SZ")
