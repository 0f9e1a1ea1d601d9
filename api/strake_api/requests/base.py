"""What every request of a pod has, whatever its kind: how the world is reached, and limits."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from strake_api.logs.artifact import LogTarget
from strake_api.models.document import Document, ShownText
from strake_api.registries import CertificatesPEM, RegistryHost, RequestedRegistry
from strake_api.values.network import NetworkText


class Registries(Document):
    """How to talk to registries."""

    push_config: str | None = None
    """Path of a mounted Docker config file (`config.json`) with credentials for pushing."""
    pull_config: str | None = None
    """Path of a mounted Docker config file with credentials for base images."""
    gateway: str | None = None
    """Path of the gateway's socket: then it alone reads the two files, and the builder speaks to it."""
    hosts: dict[RegistryHost, RequestedRegistry] = Field(default_factory=dict)
    """How registries are reached, by host. A matter of the platform, never of a spec."""


class Networks(Document):
    """Networks in which the builder connects to nothing, whatever leads there."""

    denied: tuple[NetworkText, ...] = ()
    """In CIDR notation; an address alone is itself."""
    allowed: tuple[NetworkText, ...] = ()
    """What of that is open again. Registries in `registries.hosts`, and their mirrors, are open anyway."""


class PodRequest(Document):
    """What requests of every kind have in common. No credentials are in it, only where they are mounted."""

    api_version: Literal["strake.dev/v1alpha1"] = "strake.dev/v1alpha1"
    registries: Registries = Registries()
    networks: Networks = Networks()
    """What ADD, git, and registries that a build names must not reach. A matter of the platform."""
    ca: CertificatesPEM | None = None
    """CAs that the builder trusts besides the system's, whatever it asks: registries, git, ADD."""
    log: LogTarget | None = None
    """Where the gateway pushes the builder's log, which is not kept where it is not given."""
    warnings: tuple[ShownText, ...] = ()
    """What the maker of the request wants to be told with the result, before all other warnings."""
    work_directory: str
    """An absolute path of a directory on a file system that can hold overlay's upper directories."""
    timeout_seconds: Annotated[int, Field(gt=0)] | None = None
    """How long the build may take from the builder's start. The operator's own deadline is a little later."""

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        return {
            "workDirectory": self.work_directory,
            "registries.pushConfig": self.registries.push_config,
            "registries.pullConfig": self.registries.pull_config,
            "registries.gateway": self.registries.gateway,
            "log.credentials": self.log.credentials if self.log else None,
        }

    @model_validator(mode="after")
    def _absolute_paths(self) -> Self:
        for name, path in self.paths.items():
            if path is not None and not PurePosixPath(path).is_absolute():
                raise ValueError(f"{name} must be an absolute path, not {path!r}")
        return self
