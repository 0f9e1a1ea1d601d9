"""A builder pod with a gateway: a request, and a Secret that the gateway alone is given."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from strake_oci.errors import NotFoundError
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.account import Account
from tests.fixtures.servers.gateway import docker_config
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.images.push import push_image

USER, PASSWORD = "builder", "s3cret-words"
ACCOUNT = Account(USER, PASSWORD)
"""The platform's own, which made the private images."""


@pytest.fixture(scope="module")
def private():
    """A registry that shows nothing to anybody without a password."""
    with running_registry(htpasswd={USER: PASSWORD}) as running:
        yield running


@dataclass
class Pod:
    """What a builder pod has: a request, and a Secret that the gateway alone is given.

    Attributes:
        registry: the private one.
        directory: of the pod's files.
        repository: that the build pushes to.
    """

    registry: LocalRegistry
    directory: Path
    repository: str

    @property
    def base(self) -> str:
        return f"{self.registry.host}/team/base:1"

    @property
    def path(self) -> Path:
        return self.directory / "request.json"

    def write(self, dockerfile: str, secrets: tuple[str, ...] = ("push", "pull"), **changes: object) -> None:
        """Write the request."""
        secret = docker_config(self.directory / "config.json", self.registry.host, USER, PASSWORD)
        request = {
            "source": {"inline": {"files": {"Dockerfile": dockerfile.format(base=self.base)}}},
            "output": {"destinations": [f"{self.repository}:1"]},
            "registries": {
                "gateway": str(self.directory / "gateway.socket"),
                "hosts": {self.registry.host: {"insecure": True}},
                **{f"{name}Config": str(secret) for name in secrets},
            },
            "workDirectory": str(self.directory / "work"),
            **changes,
        }
        self.path.write_text(json.dumps(request))

    def execute(self) -> dict:
        """Build as the executor does, and return the result."""
        result = self.directory / "result.json"
        words: list[str | Path] = [STRAKE, "execute", "--request", self.path, "--result", result]
        done = run_strake(words)
        assert PASSWORD not in done.stdout + done.stderr
        return json.loads(result.read_text())

    def digest(self, tag: str = "1") -> str | None:
        """Return the digest of what the registry has."""
        with self.registry.client(credentials=ACCOUNT) as client:
            repository = self.registry.repository(self.repository.partition("/")[2])
            try:
                tags = client.tags(repository)
            except NotFoundError:  # the registry knows no repository that has no tag
                return None
            return str(client.manifest(repository, tag)[0].digest) if tag in tags else None


@pytest.fixture
def pod(private, tmp_path):
    push_image("tiny", f"{private.host}/team/base:1", ACCOUNT)
    return Pod(private, tmp_path, f"{private.host}/team/{uuid.uuid4().hex[:8]}")
