"""Copying an image for many platforms between registries that are some way off.

    .venv/bin/python -m benchmarks.oci_index [--rounds 5] [--platforms 12] [--milliseconds 20]

Both registries stand behind a relay that hands on every byte half a round trip later. The images are small,
so that round trips are all that there is. Tools take turns; medians.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.oci_copy import commands, measured

from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.content.images import make_index
from tests.fixtures.servers.registry import running_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 18


@contextlib.contextmanager
def delayed(host: str, seconds: float) -> Iterator[str]:
    """Relay to a registry, each way taking so long; yield the address that stands for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        behind = ("127.0.0.1", int(host.rpartition(":")[2]))
        threading.Thread(target=_accept, args=(listener, behind, seconds), daemon=True).start()
        yield f"localhost:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, behind: tuple[str, int], seconds: float) -> None:
    with contextlib.suppress(OSError):
        while True:
            here, _ = listener.accept()
            there = socket.create_connection(behind)
            for one, other in ((here, there), (there, here)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                under_way: queue.Queue[tuple[float, bytes]] = queue.Queue()
                threading.Thread(target=_take, args=(one, under_way, seconds), daemon=True).start()
                threading.Thread(target=_give, args=(under_way, other), daemon=True).start()


def _take(one: socket.socket, under_way: queue.Queue[tuple[float, bytes]], seconds: float) -> None:
    data = b"-"
    while data:
        try:
            data = one.recv(_PIECE)
        except OSError:
            data = b""
        under_way.put((time.monotonic() + seconds, data))


def _give(under_way: queue.Queue[tuple[float, bytes]], other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))  # the distance that is measured
            if not data:
                other.shutdown(socket.SHUT_WR)
                return
            other.sendall(data)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--platforms", type=int, default=12)
    parser.add_argument("--milliseconds", type=float, default=20)
    options = parser.parse_args()
    one_way = options.milliseconds / 2000
    index = make_index(*(f"linux/arm/v{number}" for number in range(options.platforms)))
    walls: dict[str, list[float]] = {}
    with running_registry(program=distribution()) as source, delayed(source.host, one_way) as far:
        with source.client() as client:
            index.write(RegistryImages(client, source.repository("bench/index")), "1")
        for number in range(options.rounds):
            order = list(commands("", ""))
            for tool in order[number % 3 :] + order[: number % 3]:
                with (
                    running_registry(program=distribution()) as target,
                    delayed(target.host, one_way) as near,
                ):
                    command = commands(f"{far}/bench/index:1", f"{near}/bench/index:1")[tool]
                    if tool == "skopeo":
                        command.insert(2, "--all")
                    walls.setdefault(tool, []).append(measured(command).wall)
    print("| tool | wall s |\n|---|---|")
    for tool, made in walls.items():
        print(f"| {tool} | {statistics.median(made):.2f} |")


if __name__ == "__main__":
    main()
