"""The builders behind one interface: how each starts, the command of a build, which programs are its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks.builders.installed import installed_strake

from tests.fixtures.building.go_tools import built

_STARTING_SECONDS: Final = 30
_BUILDKIT: Final = "github.com/moby/buildkit/cmd"
_PEERS: Final = Path(__file__).resolve().parents[1] / "peers"


@dataclass(frozen=True)
class Order:
    """One build.

    Attributes:
        context: a directory with a Dockerfile.
        destination: where to push, over plain HTTP.
        keep: keep in the state directory what makes the next build faster.
        cache_from: a repository or image with a cache to use.
        cache_to: a repository or image to write the cache to.
    """

    context: Path
    destination: str
    keep: bool = False
    cache_from: str | None = None
    cache_to: str | None = None

    @property
    def registry(self) -> str:
        """The registry of the destination."""
        return self.destination.partition("/")[0]


@dataclass(frozen=True)
class Running:
    """A builder that is ready.

    Attributes:
        state: the directory that everything it keeps is in.
        daemons: the process ids that work for it.
    """

    state: Path
    daemons: tuple[int, ...] = field(default=())


class Builder(Protocol):
    """A program that builds and pushes."""

    @property
    def name(self) -> str:
        """As the table calls it."""

    def version(self) -> str:
        """One line that says what was measured."""

    def programs(self) -> tuple[str, ...]:
        """Paths of the programs whose memory is the builder's own."""

    def started(self, state: Path, registry: str) -> contextlib.AbstractContextManager[Running]:
        """Make it ready, with all that it keeps in a directory; what it mounts there is gone at the end."""

    def command(self, running: Running, order: Order) -> list[str]:
        """The command that builds and pushes."""


@dataclass(frozen=True)
class Strake:
    """The builder of this repository. No daemon.

    Attributes:
        isolation: the way that it is forced to; None for what it takes by itself.
    """

    isolation: str | None = None

    @property
    def name(self) -> str:
        """As the table calls it."""
        return f"strake-{self.isolation}" if self.isolation else "strake"

    def version(self) -> str:  # noqa: D102 - see Builder
        return _first_line(str(installed_strake() / "strake"), "--version")

    def programs(self) -> tuple[str, ...]:  # noqa: D102 - see Builder
        return (str(installed_strake() / "python"),)

    @contextlib.contextmanager
    def started(self, state: Path, registry: str) -> Iterator[Running]:  # noqa: D102 - see Builder
        del registry
        yield Running(state)

    def command(self, running: Running, order: Order) -> list[str]:
        """Return the command; a cache in the registry is one repository for reading and writing."""
        flags = ["--work-dir", f"{running.state}/work", "--insecure-registry", order.registry]
        if order.keep:
            flags += ["--cache-dir", f"{running.state}/cache"]
        if repository := order.cache_to or order.cache_from:
            flags += ["--cache-repo", repository]
        if self.isolation:
            flags += ["--isolation", self.isolation]
        named = ["--context", str(order.context), "--destination", order.destination]
        return [str(installed_strake() / "strake"), "build", *named, *flags]


class BuildKit:
    """buildkitd with its OCI worker, and buildctl. The daemon runs before the clock starts.

    Its runtime is runc, as everywhere: it passes `run --keep`, which Debian 12's crun does not know.
    """

    name = "BuildKit"

    def version(self) -> str:  # noqa: D102 - see Builder
        found = re.search(r"moby/buildkit (v\S+)", (_PEERS / "go.mod").read_text())
        return f"BuildKit {found[1] if found else '?'} with {_first_line('runc', '--version')}"

    def programs(self) -> tuple[str, ...]:  # noqa: D102 - see Builder
        if shutil.which("runc") is None:
            sys.exit("error: runc is not installed (apt-get install runc), or leave BuildKit out: --builder")
        return self._tool("buildkitd"), self._tool("buildctl")

    @contextlib.contextmanager
    def started(self, state: Path, registry: str) -> Iterator[Running]:  # noqa: D102 - see Builder
        config = state / "buildkitd.toml"
        entry = f"registry.{json.dumps(registry)}"
        config.write_text(
            f"[worker.containerd]\nenabled = false\n"
            f'[worker.oci]\nenabled = true\nsnapshotter = "overlayfs"\ngc = false\nbinary = "runc"\n'
            f"[{entry}]\nhttp = true\ninsecure = true\n"
        )
        daemon = [self._tool("buildkitd"), "--config", config, "--root", state / "root"]
        with (state / "log").open("wb") as log:
            process = subprocess.Popen(
                # what it leaves mounted ends with its namespace
                ["unshare", "--mount", *map(str, daemon), "--addr", _address(state)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": "/nonexistent"},
            )
        try:
            self._await(state, process)
            yield Running(state, (process.pid,))
        finally:
            process.terminate()
            process.wait(_STARTING_SECONDS)

    def command(self, running: Running, order: Order) -> list[str]:  # noqa: D102 - see Builder
        output = f"type=image,name={order.destination},push=true"
        words = [self._tool("buildctl"), "--addr", _address(running.state), "build", "--progress=plain"]
        words += ["--frontend=dockerfile.v0", "--output", output]
        words += ["--local", f"context={order.context}", "--local", f"dockerfile={order.context}"]
        if order.cache_to:
            words += ["--export-cache", f"type=registry,ref={order.cache_to}:cache,mode=max"]
        if order.cache_from:
            words += ["--import-cache", f"type=registry,ref={order.cache_from}:cache"]
        return words

    def _await(self, state: Path, process: subprocess.Popen[bytes]) -> None:
        asking = [self._tool("buildctl"), "--addr", _address(state), "debug", "workers"]
        deadline = time.monotonic() + _STARTING_SECONDS
        while subprocess.run(asking, capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"buildkitd did not start:\n{(state / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    @staticmethod
    def _tool(name: str) -> str:
        return str(built("benchmarks/peers", f"{_BUILDKIT}/{name}"))


class Buildah:
    """Debian's buildah: a build and a push. No daemon."""

    name = "buildah"

    def version(self) -> str:  # noqa: D102 - see Builder
        return _first_line("buildah", "--version")

    def programs(self) -> tuple[str, ...]:  # noqa: D102 - see Builder
        found = shutil.which("buildah")
        if found is None:
            sys.exit("error: buildah is not installed (apt-get install buildah), or leave it out: --builder")
        return (found,)

    @contextlib.contextmanager
    def started(self, state: Path, registry: str) -> Iterator[Running]:  # noqa: D102 - see Builder
        del registry
        yield Running(state)

    def command(self, running: Running, order: Order) -> list[str]:  # noqa: D102 - see Builder
        storage = f"--root {running.state}/storage --runroot {running.state}/run --storage-driver overlay"
        flags = "--layers --jobs 4 --tls-verify=false -q"
        if order.cache_to:
            flags += f" --cache-to {order.cache_to}"
        if order.cache_from:
            flags += f" --cache-from {order.cache_from}"
        script = (
            f"buildah {storage} build {flags} -t {order.destination} {order.context} "
            f"&& buildah {storage} push -q --tls-verify=false {order.destination}"
        )
        # what it leaves mounted ends with its namespace
        return ["unshare", "--mount", "sh", "-c", script]


BUILDERS: Final[dict[str, Builder]] = {
    "strake": Strake(),
    "buildkit": BuildKit(),
    "buildah": Buildah(),
}


def _address(state: Path) -> str:
    return f"unix://{state}/buildkitd.sock"


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
