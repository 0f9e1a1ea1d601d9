"""Copying from a registry that gives each connection a share of its line, as object stores do.

    .venv/bin/python -m benchmarks.oci_paced [--rounds 3] [--share 80]

The registry stands behind a relay whose connections the kernel paces (SO_MAX_PACING_RATE), each for itself.
The destination is another registry on this machine. Tools take turns; medians.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import socket
import statistics
import threading
from typing import TYPE_CHECKING

from benchmarks.oci_copy import Run, commands, measured, push_large

from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.servers.registry import running_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

_SO_MAX_PACING_RATE = 47
_PIECE = 1 << 20


@contextlib.contextmanager
def paced(host: str, share: int) -> Iterator[str]:
    """Relay to a registry, in a process of its own; yield the address that stands for it.

    Args:
        host: "localhost:port" of the registry.
        share: Bytes a second that a connection brings at most.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = multiprocessing.get_context("fork").Process(
            target=_accept, args=(listener, int(host.rpartition(":")[2]), share), daemon=True
        )
        relay.start()
        try:
            yield f"localhost:{listener.getsockname()[1]}"
        finally:
            relay.terminate()
            relay.join()


def _accept(listener: socket.socket, port: int, share: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, share)
            behind = socket.create_connection(("127.0.0.1", port))
            for here, there in ((client, behind), (behind, client)):
                threading.Thread(target=_pump, args=(here, there), daemon=True).start()


def _pump(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError), here, there:
        while piece := here.recv(_PIECE):
            there.sendall(piece)
        there.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--share", type=int, default=80, help="MB/s for each connection")
    options = parser.parse_args()
    runs: dict[str, list[Run]] = {}
    with running_registry(program=distribution()) as registry:
        with registry.client() as client:
            push_large(RegistryImages(client, registry.repository("bench/large")), options.megabytes)
        with paced(registry.host, options.share * 1_000_000) as source:
            for _ in range(options.rounds):
                for tool in commands("", ""):
                    with running_registry(program=distribution()) as destination:
                        command = commands(f"{source}/bench/large:1", f"{destination.host}/bench/large:1")[
                            tool
                        ]
                        runs.setdefault(tool, []).append(measured(command))
    print("| tool | wall s | CPU s | memory MiB |\n|---|---|---|---|")
    for tool, made in runs.items():
        wall, cpu = (
            statistics.median(run) for run in zip(*((run.wall, run.cpu) for run in made), strict=True)
        )
        print(f"| {tool} | {wall:.2f} | {cpu:.2f} | {max(run.memory for run in made) / 1024:.0f} |")


if __name__ == "__main__":
    main()
