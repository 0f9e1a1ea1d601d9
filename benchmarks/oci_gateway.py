"""What the gateway costs: a blob pushed and pulled directly, and through `strake gateway`, taking turns.

    .venv/bin/python -m benchmarks.oci_gateway [--rounds 5] [--megabytes 1024] [--share 0] [--tls]

The registry is on this machine, without TLS, with a password. `--share` paces each connection to it to so
many MB/s, as a network would; 0 leaves them as fast as two processors allow, which no pod sees.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
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


def _push(client: RegistryClient, repository: Repository, data: bytes) -> float:
    descriptor = Descriptor(mediatype.OCI_LAYER, Digest.sha256(data), len(data))
    began = time.monotonic()
    client.push_blob(repository, descriptor, lambda: io.BytesIO(data))
    return time.monotonic() - began


def _pull(client: RegistryClient, repository: Repository, data: bytes) -> float:
    descriptor = Descriptor(mediatype.OCI_LAYER, Digest.sha256(data), len(data))
    began = time.monotonic()
    with client.open_blob(repository, descriptor) as reader:
        while reader.read(_PIECE):
            pass
    return time.monotonic() - began


@contextlib.contextmanager
def _clients(
    settings: ClientSettings, host: str, access: dict[str, object], directory: Path, destinations: list[str]
) -> Iterator[dict[str, RegistryClient]]:
    """Yield a client of each way."""
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
        running_gateway(directory / "request.json", directory),
        RegistryClient(settings, known) as direct,
        RegistryClient(through_gateway(settings, str(socket))) as gateway,
    ):
        yield {"directly": direct, "by the gateway": gateway}


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
    took: dict[str, dict[str, list[float]]] = {"push": {}, "pull": {}}
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
            for turn, (way, client) in enumerate(sorted(clients.items(), reverse=number % 2 == 1)):
                # Each has its own content: a registry that has a blob already takes no other.
                data = f"{number} {way}".encode() + block * options.megabytes
                repository = Repository(host, names[2 * number + turn])
                took["push"].setdefault(way, []).append(_push(client, repository, data))
                took["pull"].setdefault(way, []).append(_pull(client, repository, data))
    print("| | directly, s | by the gateway, s | ratio |\n|---|---|---|---|")
    for what, ways in took.items():
        direct, gateway = (statistics.median(ways[way]) for way in ("directly", "by the gateway"))
        print(
            f"| {what} of {options.megabytes} MiB | {direct:.2f} | {gateway:.2f} | {gateway / direct:.2f} |"
        )


if __name__ == "__main__":
    main()
