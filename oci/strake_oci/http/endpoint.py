"""How a server is reached, and on what terms: plain values, for registries as for ADD and git.

`Endpoint` is what the rest of the package talks to: one base URL with the settings that hold for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from strake_oci.spec.reference import Repository


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """Whom a registry's certificate is checked against, and what is shown to it.

    Attributes:
        ca_files: PEM files trusted in addition to the system's.
        ca_data: The same, as PEM itself.
        client_certificate: PEM file shown to the registry. It is not looked at before it is needed.
        client_key: Its key, if not in the same file.
        client_hint: What to try where that certificate cannot be used; "" speaks of the files.
        verify: False accepts any certificate: for test beds only.
    """

    ca_files: tuple[Path, ...] = ()
    ca_data: tuple[str, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_hint: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each phase of a request may take.

    Attributes:
        connect: Until the connection stands, TLS included.
        read: Between two arrivals of data.
        commit: As read, for the answer to what was sent: a registry that commits a large upload is silent
            meanwhile.
        write: For the network to take a piece of data.
    """

    connect: float = 15.0
    read: float = 120.0
    commit: float = 300.0
    write: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """What holds for all connections of a transport.

    Attributes:
        timeouts: Per phase.
        user_agent: What the client calls itself.
        max_connections: In use at a time, over all servers; others wait idle to be used again (`kept`).
        trust_env: Take proxies from HTTP_PROXY, HTTPS_PROXY, NO_PROXY.
        networks: What must not be reached, at first or by a redirect. A proxy resolves names itself: of what
            is asked through one, only addresses in URLs are checked.
    """

    timeouts: Timeouts = Timeouts()
    user_agent: str = "strake"
    max_connections: int = 32
    trust_env: bool = True
    networks: DeniedNetworks = NONE_DENIED


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a registry is reached, and on what terms.

    Attributes:
        registry: Host and port as references spell them; credentials are looked up by it.
        base: "https://host:port": what comes before "/v2/".
        tls: Trust.
        unix_socket: Connect to this socket instead of the network.
        clear_credentials: Send passwords and tokens without TLS, too.
        any_network: Its own host may be in a network that is denied; where its answers lead may not.
    """

    registry: str
    base: str
    tls: TLSSettings = TLSSettings()
    unix_socket: Path | None = None
    clear_credentials: bool = False
    any_network: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the connection is not protected by TLS."""
        return self.base.startswith("http://")

    def url(self, repository: Repository, tail: str) -> str:
        """Return the URL of something in a repository."""
        return f"{self.base}/v2/{repository.path}/{tail}"
