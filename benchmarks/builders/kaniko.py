"""kaniko's executor as a peer, where a path to one is given: it is released no more, and has no package.

It builds at the root of the container that it is in. Here that is an empty directory on the measured disk,
with /proc and /dev of the machine and the context at /workspace, in namespaces that end with it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.builders.peers import Order, Running

_DIRECTORIES = ("kaniko", "proc", "dev", "workspace", "tmp", "etc")


@dataclass(frozen=True)
class Kaniko:
    """The executor of kaniko. No daemon.

    Attributes:
        executor: path of its program.
    """

    executor: Path
    name: str = "kaniko"

    def version(self) -> str:
        """One line that says what was measured."""
        done = subprocess.run([self.executor, "version"], capture_output=True, text=True, check=True)
        return f"kaniko {done.stdout.strip().rpartition(' ')[2]}"

    def programs(self) -> tuple[str, ...]:
        """Paths of the programs whose memory is the builder's own."""
        return (str(self.executor),)

    @contextlib.contextmanager
    def started(self, state: Path, registry: str) -> Iterator[Running]:
        """Make an empty root on the disk that is measured."""
        del registry
        for name in _DIRECTORIES:
            (state / "root" / name).mkdir(parents=True)
        (state / "root/kaniko/executor").touch()
        yield Running(state)

    def command(self, running: Running, order: Order) -> list[str]:
        """Return the command; what others keep on the machine, kaniko keeps in a registry."""
        root = running.state / "root"
        flags = ["--force", "--insecure", "--insecure-pull", "--context=dir:///workspace"]
        flags += [f"--destination={order.destination}"]
        cache = (
            order.cache_to
            or order.cache_from
            or (f"{order.destination.rpartition(':')[0]}-cache" * order.keep)
        )
        if cache:
            flags += ["--cache", f"--cache-repo={cache}"]
        script = "\n".join(
            [
                "set -e",
                f"mount -t proc proc {root}/proc",
                f"mount --rbind /dev {root}/dev",
                f"mount --bind {shlex.quote(os.fspath(order.context))} {root}/workspace",
                f"mount --bind {shlex.quote(os.fspath(self.executor))} {root}/kaniko/executor",
                f"exec chroot {root} /kaniko/executor {shlex.join(flags)}",
            ]
        )
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]
