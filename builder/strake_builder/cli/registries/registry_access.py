"""Builds the settings of the registry client from flags or from a request.

Both say the same things in different forms, so that what holds on a command line holds in a cluster.
"""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strake_builder.errors import InvalidRequestError, UnsupportedError
from strake_oci.errors import InvalidValueError
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.registry.settings import ClientSettings, Mirror, RegistrySettings
from strake_oci.spec.reference import DEFAULT_REGISTRY, Repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_api.registries import ClientCertificate, RequestedRegistry
    from strake_api.requests.base import PodRequest

_GATEWAY: Final = "http://gateway/{registry}"
_PATIENCE: Final = 30.0
"""Seconds for a gateway to start, on a node that starts many pods."""
_BETWEEN: Final = 0.02
_HUB_HOSTS: Final = frozenset({"index.docker.io", "registry-1.docker.io"})


class RegistrySettingsBuilder:
    """Settings so far, by registry. `where` is the flag or field that they come from, for errors.

    Every method raises InvalidRequestError where its host is none.
    """

    def __init__(self) -> None:
        self._registries: dict[str, RegistrySettings] = {}

    def settings(self, networks: DeniedNetworks = NONE_DENIED) -> ClientSettings:
        """Return all of it, for a client that reaches no others in some networks."""
        return ClientSettings(registries=dict(self._registries), networks=networks)

    def plain_http(self, where: str, host: str) -> None:
        """Speak HTTP without TLS."""
        self._change(where, host, plain_http=True)

    def plain_fallback(self, where: str, host: str) -> None:
        """Speak HTTP without TLS where the registry has none."""
        self._change(where, host, plain_fallback=True)

    def clear_credentials(self, where: str, host: str) -> None:
        """Send passwords and tokens without TLS, too.

        Raises:
            InvalidRequestError: the registry is spoken to with TLS, as far as is known so far.
        """
        known = self._of(where, host)
        if not known.plain_http and not known.plain_fallback:
            raise InvalidRequestError(
                f"{where}: {host} is spoken to with TLS", hint="drop it, or make the registry an insecure one"
            )
        self._change(where, host, clear_credentials=True)

    def trust(self, where: str, host: str, **changes: Any) -> None:
        """Change TLS settings: the attributes of `TLSSettings`."""
        self._change(where, host, tls=replace(self._of(where, host).tls, **changes))

    def trust_authority(self, where: str, host: str, *, file: Path | None = None, pem: str = "") -> None:
        """Trust one more CA, in a file or as PEM."""
        known = self._of(where, host).tls
        files = known.ca_files if file is None else (*known.ca_files, file)
        data = (*known.ca_data, pem) if pem else known.ca_data
        self.trust(where, host, ca_files=files, ca_data=data)

    def mirror(self, where: str, host: str, mirrors: Iterable[str], *, only: bool) -> None:
        """Add mirrors, after those that are known.

        Raises:
            InvalidRequestError: one of them is none.
        """
        named = list(self._of(where, host).mirrors)
        for mirror in mirrors:
            try:
                named.append(Mirror.parse(mirror))
            except InvalidValueError as error:
                hint = error.hint or "write HOST=MIRROR[/PREFIX], without https://"
                raise InvalidRequestError(f"{where} {host}={mirror}: {error.message}", hint=hint) from error
        self._change(where, host, mirrors=tuple(named), mirrors_only=only)

    def know(self, where: str, host: str) -> None:
        """Have it named, so that the networks that are denied to others are not to it."""
        self._change(where, host)

    def _of(self, where: str, host: str) -> RegistrySettings:
        return self._registries.get(_spelled(where, host)) or RegistrySettings()

    def _change(self, where: str, host: str, **changes: Any) -> None:
        self._registries[_spelled(where, host)] = replace(self._of(where, host), **changes)


def _spelled(where: str, text: str) -> str:
    """Return a registry's host as references spell it."""
    try:
        Repository(text, "x")
    except InvalidValueError as error:
        hint = "write HOST or HOST:PORT, without https://"
        raise InvalidRequestError(f"{where}: {error.message}", hint=hint) from error
    return DEFAULT_REGISTRY if text in _HUB_HOSTS else text


def requested_access(request: PodRequest) -> ClientSettings:
    """Return what a request says.

    Raises:
        InvalidRequestError: a host is none.
    """
    builder = RegistrySettingsBuilder()
    for host, access in request.registries.hosts.items():
        _read_host(builder, f"registries.hosts[{host}]", host, access)
    return builder.settings(requested_networks(request))


def requested_networks(request: PodRequest) -> DeniedNetworks:
    """Return what a request says must not be reached."""
    return DeniedNetworks.parse(request.networks.denied, request.networks.allowed)


def through_gateway(settings: ClientSettings, path: str) -> ClientSettings:
    """Return settings by which every registry is reached through a gateway, which has TLS and credentials."""
    by_gateway = RegistrySettings(location=_GATEWAY, unix_socket=Path(path))
    return replace(
        settings,
        default=by_gateway,
        registries={
            host: replace(by_gateway, mirrors=each.mirrors, mirrors_only=each.mirrors_only)
            for host, each in settings.registries.items()
        },
    )


def await_gateway(path: str) -> None:
    """Wait until a gateway takes connections: it starts beside the builder.

    Raises:
        UnsupportedError: it does not start.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise UnsupportedError(
                        f"the pod's gateway does not answer on {path}: {error.strerror}",
                        hint="its container's log tells why: kubectl logs POD -c gateway",
                    ) from error
            else:
                return
        time.sleep(_BETWEEN)  # it is about to start: nothing tells when


def _read_host(builder: RegistrySettingsBuilder, where: str, host: str, access: RequestedRegistry) -> None:
    builder.know(where, host)
    if access.insecure:
        builder.plain_http(where, host)
    if access.insecure_credentials:
        builder.clear_credentials(where, host)
    if access.insecure_skip_tls_verify:
        builder.trust(where, host, verify=False)
    if access.ca is not None:
        builder.trust_authority(where, host, pem=access.ca)
    if access.client_certificate is not None:
        builder.trust(where, host, **_shown(access.client_certificate))
    if access.mirrors:
        builder.mirror(where, host, access.mirrors, only=access.mirrors_only)


def _shown(certificate: ClientCertificate) -> dict[str, Any]:
    """Return the TLS settings of a Secret of type kubernetes.io/tls, whose keys have fixed names."""
    name = certificate.secret
    create = f"kubectl create secret tls {name} --cert=FILE --key=FILE"
    return {
        "client_certificate": Path(certificate.directory, "tls.crt"),
        "client_key": Path(certificate.directory, "tls.key"),
        "client_hint": f"builds show the certificate in Secret {name} there: create it in this namespace "
        f"with {create}, then delete the ImageBuild and apply it again",
    }
