"""The servers that pages name, on this machine and for one program alone, so that its commands are run as they are written.

A program in here has an /etc/hosts of its own, in which `registry.example`, `mirror.example`, `git.example` and Docker
Hub are addresses of this machine. They have the ports and the TLS of real ones, of an authority that the program trusts.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strake_oci.registry.images import RegistryImages
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.certificates import Certificates, make_certificates
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.fixtures.servers.signing import PASSWORD
from tests.fixtures.servers.web import make_repository, running_web_server
from tests.images.layouts import image_layout

_SECONDS = 300
"""For a block of commands: a limit that only catches hangs."""
REGISTRY_NAMES = ("registry.example", "registry-1.docker.io")
_ENTER = 'mount --bind "$(dirname "$0")/hosts" /etc/hosts && exec bash -euo pipefail -c "$1"\n'


@dataclass(frozen=True)
class Internet:
    """What a program sees of the world.

    Attributes:
        registry: Under all of `REGISTRY_NAMES`.
        mirror: Under `mirror.example`.
        enter: A script that runs another with the /etc/hosts of it.
        certificates: Of the servers.
    """

    registry: LocalRegistry
    mirror: LocalRegistry
    enter: Path
    certificates: Certificates

    def run(self, script: str, directory: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash, which ends with the first command that fails.

        Args:
            script: Commands.
            directory: Where; `home` beside it is the user's.
            **more: Environment.
        """
        home = directory.parent / "home"
        home.mkdir(exist_ok=True)
        environment = {
            "PATH": f"{STRAKE.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "SSL_CERT_FILE": str(self.certificates.ca),
            "GIT_SSL_CAINFO": str(self.certificates.ca),
            "COSIGN_PASSWORD": PASSWORD,
            "STRAKE_WORK_DIR": str(directory.parent / "work"),
            **more,
        }
        command: list[str | Path] = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "bash",
            self.enter,
            script,
        ]
        return subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=_SECONDS
        )

    def forget(self, repository: str) -> None:
        """Have the registries know nothing of a repository."""
        for each in (self.registry, self.mirror):
            shutil.rmtree(each.root / "docker/registry/v2/repositories" / repository, ignore_errors=True)

    def tags(self, repository: str) -> set[str]:
        """Return the tags of a repository of the registry, without those of what refers to images."""
        with self.registry.client() as client:
            names = client.tags(self.registry.repository(repository))
        return {each for each in names if not each.startswith("sha256-")}

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest that a tag of the registry names."""
        with self.registry.client() as client:
            return str(client.manifest(self.registry.repository(repository), tag)[0].digest)


@contextlib.contextmanager
def running_internet(directory: Path) -> Iterator[Internet]:
    """Start the servers.

    Args:
        directory: For their files, an empty one.
    """
    # Addresses that no other worker has: all of them serve the port 443. None is of loopback, which a page closes.
    addresses = [f"198.18.{random.randrange(256)}.{random.randrange(64) * 4 + last}" for last in (0, 1, 2)]
    names = [*(f"DNS:{each}" for each in (*REGISTRY_NAMES, "mirror.example", "git.example"))]
    made = make_certificates(directory, *names, *(f"IP:{each}" for each in addresses))
    hosts = directory / "hosts"
    lines = [
        "127.0.0.1 localhost",
        f"{addresses[0]} {' '.join(REGISTRY_NAMES)}",
        f"{addresses[1]} mirror.example",
        f"{addresses[2]} git.example",
    ]
    hosts.write_text("\n".join(lines) + "\n")
    enter = directory / "enter"
    enter.write_text(_ENTER)
    repositories = directory / "git"
    repositories.mkdir()
    make_repository(repositories / "app", Dockerfile="FROM alpine:3.20\nCOPY app /app\n", app="app\n")
    (repositories / "app/.git").rename(repositories / "app.git")
    with contextlib.ExitStack() as stack:
        for each in addresses:
            stack.enter_context(_address(each))
        registry, mirror = (
            stack.enter_context(
                running_registry(tls=made, address=address, port=443, root=directory / name, cached=False)
            )
            for address, name in zip(addresses, ("registry", "mirror"), strict=False)
        )
        stack.enter_context(running_web_server(repositories, made, addresses[2], 443))
        with registry.client() as client:
            target = RegistryImages(client, registry.repository("library/busybox"))
            copy_image(Layout(image_layout("tiny")), "latest", target, "1")
        yield Internet(registry, mirror, enter, made)


@contextlib.contextmanager
def _address(address: str) -> Iterator[None]:
    """Have this machine an address of RFC 2544, which nothing else has."""
    words = (f"{address}/32", "dev", "lo")
    subprocess.run(["ip", "address", "add", *words], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", *words], check=True)
