"""What a user can set for registries: how to reach them, whom to trust, where else to look."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidValueError
from strake_oci.http.endpoint import Endpoint, TLSSettings, TransportSettings
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import DEFAULT_REGISTRY, Repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DOCKER_HUB_HOST: Final = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Another registry that serves the same content.

    Attributes:
        registry: Its host and port.
        prefix: Put before the repository's path there: "proxy/docker.io".
    """

    registry: str
    prefix: str = ""

    @staticmethod
    def parse(text: str) -> Mirror:
        """Read `host[:port][/prefix]`.

        Raises:
            InvalidReferenceError: Not a host with an optional path.
        """
        registry, _, prefix = text.strip("/").partition("/")
        Repository(registry, prefix or "x")
        return Mirror(registry, prefix)

    def repository(self, repository: Repository) -> Repository:
        """Return where the mirror keeps a repository."""
        path = f"{self.prefix}/{repository.path}" if self.prefix else repository.path
        return Repository(self.registry, path)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What holds for one registry.

    Attributes:
        plain_http: Speak HTTP without TLS. Only if the user says so ("insecure registry").
        plain_fallback: Speak HTTP without TLS where the registry has none (`PlainFallback`).
        clear_credentials: Send passwords and tokens over plain HTTP, too: everybody on the way reads them.
        tls: Trust.
        mirrors: Asked in order before the registry itself, for pulls only.
        mirrors_only: Do not fall back to the registry itself.
        location: URL to ask instead of the registry's own name, or ""; "{registry}" in it stands for that
            name, so that one gateway can serve them all.
        unix_socket: Connect to this socket instead of the network.
    """

    plain_http: bool = False
    plain_fallback: bool = False
    clear_credentials: bool = False
    tls: TLSSettings = field(default_factory=TLSSettings)
    mirrors: tuple[Mirror, ...] = ()
    mirrors_only: bool = False
    location: str = ""
    unix_socket: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientSettings(TransportSettings):
    """What holds for a client.

    Attributes:
        registries: By host and port, as references spell them. Those that are named, and their mirrors, may
            be in `networks`: a build's author does not name them.
        default: For registries that are not named.
    """

    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)
    default: RegistrySettings = RegistrySettings()

    @staticmethod
    def insecure(*registries: str, user_agent: str = "strake") -> ClientSettings:
        """Return settings under which the named registries ("host:port") are spoken to in plain HTTP."""
        named = {registry: RegistrySettings(plain_http=True) for registry in registries}
        return ClientSettings(registries=named, user_agent=user_agent)

    def of(self, registry: str) -> RegistrySettings:
        """Return what holds for a registry."""
        return self.registries.get(registry, self.default)

    def endpoint(self, registry: str) -> Endpoint:
        """Return where a registry is reached."""
        settings = self.of(registry)
        base = settings.location.replace("{registry}", registry).rstrip("/")
        if not base:
            host = _DOCKER_HUB_HOST if registry == DEFAULT_REGISTRY else registry
            base = f"{'http' if settings.plain_http else 'https'}://{host}"
        if not base.startswith(("http://", "https://")):
            raise InvalidValueError(f"location {base!r} of registry {registry} is no http or https URL")
        return Endpoint(
            registry,
            base,
            settings.tls,
            settings.unix_socket,
            clear_credentials=settings.clear_credentials,
            any_network=registry in self.registries or self._is_mirror(registry),
        )

    def without_mirrors(self) -> ClientSettings:
        """Return settings under which everything is read from where it is written."""
        registries = {
            name: replace(each, mirrors=(), mirrors_only=False) for name, each in self.registries.items()
        }
        return replace(self, registries=registries)

    def _is_mirror(self, registry: str) -> bool:
        every = (mirror for settings in self.registries.values() for mirror in settings.mirrors)
        return any(mirror.registry == registry for mirror in every)

    def pull_sources(self, repository: Repository) -> tuple[Repository, ...]:
        """Return where to look for a repository's content, in order: mirrors, then the registry itself."""
        settings = self.of(repository.registry)
        mirrored = tuple(mirror.repository(repository) for mirror in settings.mirrors)
        return mirrored if mirrored and settings.mirrors_only else (*mirrored, repository)
