"""What the gateway costs: a blob pushed and pulled directly, and through `strake gateway`, taking turns.

    .venv/bin/python -m benchmarks.oci_gateway [--rounds 5] [--megabytes 1024] [--share 0] [--tls]

The registry is on this machine, without TLS, with a password. `--share` paces each connection to it to so
many MB/s, as a network would; 0 leaves them as fast as two processors allow, which no pod sees.

Processor seconds of client and gateway are measured, too: on a machine that others use they say more than the
clock.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.oci_paced import paced

from strake_builder.cli.registries.registry_access import through_gateway
from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository
from tests.fixtures.servers.account import Account
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.gateway import docker_config, running_gateway
from tests.fixtures.servers.registry import running_registry

if TYPE_CHECKING:
    from strake_oci.credentials import CredentialSource

_USER, _PASSWORD = "bench", "for-measurements-only"
_PIECE = 1 << 20


@dataclass(frozen=True)
class _Run:
    """Seconds that something took: on the clock, and of processors, of the client and of the gateway."""

    wall: float
    client: float
    gateway: float


@dataclass(frozen=True)
class _Way:
    """A client of the registry, and the gateway's process if it is asked through one."""

    client: RegistryClient
    gateway: int | None = None

    def measured(self, work: Callable[[RegistryClient], None]) -> _Run:
        began, gateway, client = time.monotonic(), self._gateway_seconds(), time.process_time()
        work(self.client)
        client = time.process_time() - client
        return _Run(time.monotonic() - began, client, self._gateway_seconds() - gateway)

    def _gateway_seconds(self) -> float:
        if self.gateway is None:
            return 0.0
        fields = Path(f"/proc/{self.gateway}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _push(repository: Repository, blob: Descriptor, data: bytes, client: RegistryClient) -> None:
    client.push_blob(repository, blob, lambda: io.BytesIO(data))


def _pull(repository: Repository, blob: Descriptor, _data: bytes, client: RegistryClient) -> None:
    with client.open_blob(repository, blob) as reader:
        while reader.read(_PIECE):
            pass


@contextlib.contextmanager
def _clients(
    settings: ClientSettings, host: str, access: dict[str, object], directory: Path, destinations: list[str]
) -> Iterator[dict[str, _Way]]:
    """Yield each way."""
    secret = docker_config(directory / "config.json", host, _USER, _PASSWORD)
    socket = directory / "gateway.socket"
    request = {
        "source": {"inline": {"files": {"Dockerfile": "FROM scratch\n"}}},
        "output": {"destinations": destinations},
        "registries": {"gateway": str(socket), "hosts": {host: access}, "pushConfig": str(secret)},
        "workDirectory": str(directory),
    }
    (directory / "request.json").write_text(json.dumps(request))
    known: CredentialSource = Account(_USER, _PASSWORD)
    with (
        running_gateway(directory / "request.json", directory) as running,
        RegistryClient(settings, known) as direct,
        RegistryClient(through_gateway(settings, str(socket))) as gateway,
    ):
        yield {"directly": _Way(direct), "by the gateway": _Way(gateway, running.process.pid)}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--share", type=int, default=0, help="MB/s for each connection; 0: no limit")
    parser.add_argument("--tls", action="store_true", help="a registry with TLS")
    options = parser.parse_args()
    took: dict[str, dict[str, list[_Run]]] = {"push": {}, "pull": {}}
    with contextlib.ExitStack() as scope:
        directory = Path(scope.enter_context(tempfile.TemporaryDirectory(prefix="strake-bench-")))
        tls = make_certificates(directory) if options.tls else None
        registry = scope.enter_context(running_registry(tls=tls, htpasswd={_USER: _PASSWORD}))
        host = registry.host
        access: dict[str, object] = {"insecure": True, "insecureCredentials": True}
        if tls is not None:
            access = {"ca": tls.ca.read_text()}
        if options.share:
            host = scope.enter_context(paced(host, options.share * 1_000_000))
        names = [f"bench/{number}" for number in range(2 * options.rounds)]
        known = registry.settings().registries[registry.host]
        settings = ClientSettings.insecure(host) if tls is None else ClientSettings({host: known})
        destinations = [f"{host}/{name}:1" for name in names]
        clients = scope.enter_context(_clients(settings, host, access, directory, destinations))
        block = bytes(range(256)) * 4096
        for number in range(options.rounds):
            # In turns: what the one leaves to be written to the disk slows the other.
            for turn, (name, way) in enumerate(sorted(clients.items(), reverse=number % 2 == 1)):
                # Each has its own content: a registry that has a blob already takes no other.
                data = f"{number} {name}".encode() + block * options.megabytes
                repository = Repository(host, names[2 * number + turn])
                blob = Descriptor(mediatype.OCI_LAYER, Digest.sha256(data), len(data))
                for what, work in (("push", _push), ("pull", _pull)):
                    run = way.measured(partial(work, repository, blob, data))
                    took[what].setdefault(name, []).append(run)
    print("| | directly, s | by the gateway, s | ratio | processors: directly | by the gateway | gateway |")
    print("|---|---|---|---|---|---|---|")
    for what, ways in took.items():
        direct, gateway = (_median(ways[name]) for name in ("directly", "by the gateway"))
        print(
            f"| {what} of {options.megabytes} MiB | {direct.wall:.2f} | {gateway.wall:.2f} | "
            f"{gateway.wall / direct.wall:.2f} | {direct.client:.2f} | {gateway.client:.2f} | "
            f"{gateway.gateway:.2f} |"
        )


def _median(runs: list[_Run]) -> _Run:
    return _Run(
        *(statistics.median(getattr(run, name) for run in runs) for name in ("wall", "client", "gateway"))
    )


if __name__ == "__main__":
    main()
