"""Flags of how registries are reached: plain HTTP, trust, mirrors. Names are those of kaniko's executor."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strake_builder.cli.switches import add_switch
from strake_builder.errors import InvalidRequest

if TYPE_CHECKING:
    from strake_oci.registry.settings import ClientSettings, RegistrySettings

_HUB: Final = "docker.io"
_HUB_HOSTS: Final = frozenset({"index.docker.io", "registry-1.docker.io"})


def add_registry_flags(parser: argparse.ArgumentParser, *, words_follow: bool = False) -> None:
    """Add the flags that `read_registries` reads.

    Args:
        parser: the command's.
        words_follow: the command takes words besides flags; a switch must not take one for its value.
    """
    group = parser.add_argument_group("registries; all but the last may be given more than once")

    def add(flag: str, value: str, text: str) -> None:
        group.add_argument(flag, metavar=value, action="append", default=[], help=text)

    add("--insecure-registry", "HOST[:PORT]", "a registry that is spoken to over plain HTTP")
    add("--registry-certificate", "HOST[:PORT]=FILE", "a CA's certificates (PEM) to trust for a registry")
    add(
        "--registry-client-cert",
        "HOST[:PORT]=CERT,KEY",
        "a certificate and its key (PEM) to show to a registry",
    )
    add("--skip-tls-verify-registry", "HOST[:PORT]", "accept any certificate of a registry: for tests")
    add(
        "--registry-map",
        "HOST=MIRROR[/PREFIX][;…]",
        "pull what a registry has from its mirrors, asked in order; what none has, or has right, comes from "
        "the registry",
    )
    add("--registry-mirror", "MIRROR[/PREFIX]", "the same as --registry-map docker.io=MIRROR")
    name, text = "--skip-default-registry-fallback", "of registries with mirrors, ask the mirrors only"
    if words_follow:
        group.add_argument(name, action="store_true", help=text)
    else:
        add_switch(group, name, text)


def read_registries(arguments: argparse.Namespace, *insecure: str) -> ClientSettings:
    """Return what the flags say.

    Args:
        arguments: the command's.
        *insecure: more registries that are spoken to over plain HTTP.

    Raises:
        InvalidRequest: a flag is malformed, or names a file that is not there.
    """
    from strake_oci.registry.settings import ClientSettings

    said = _Said()
    for host in (*arguments.insecure_registry, *insecure):
        said.change(said.host("--insecure-registry", host), plain_http=True)
    _read_trust(arguments, said)
    _read_mirrors(arguments, said)
    return ClientSettings(said.registries)


def _read_trust(arguments: argparse.Namespace, said: _Said) -> None:
    for text in arguments.skip_tls_verify_registry:
        said.trust(said.host("--skip-tls-verify-registry", text), verify=False)
    for text in arguments.registry_certificate:
        host, path = said.pair("--registry-certificate", text, "FILE")
        known = said.of(host).tls.ca_files
        said.trust(host, ca_files=(*known, _file("--registry-certificate", path)))
    for text in arguments.registry_client_cert:
        host, paths = said.pair("--registry-client-cert", text, "CERT,KEY")
        certificate, _, key = paths.partition(",")
        files = [_file("--registry-client-cert", path) for path in (certificate, key or certificate)]
        said.trust(host, client_certificate=files[0], client_key=files[1])


def _read_mirrors(arguments: argparse.Namespace, said: _Said) -> None:
    from strake_oci.errors import InvalidValueError
    from strake_oci.registry.settings import Mirror

    only: bool = arguments.skip_default_registry_fallback
    maps = [*arguments.registry_map, *(f"{_HUB}={mirror}" for mirror in arguments.registry_mirror)]
    if only and not maps:
        hint = "name mirrors with --registry-map or --registry-mirror"
        raise InvalidRequest("--skip-default-registry-fallback: there are no mirrors", hint=hint)
    for text in maps:
        host, places = said.pair("--registry-map", text, "MIRROR[/PREFIX]")
        try:
            named = tuple(Mirror.parse(place) for place in places.split(";") if place)
        except InvalidValueError as error:
            hint = error.hint or "write HOST=MIRROR[/PREFIX], without https://"
            raise InvalidRequest(f"--registry-map {text!r}: {error.message}", hint=hint) from error
        said.change(host, mirrors=(*said.of(host).mirrors, *named), mirrors_only=only)


class _Said:
    """What the flags have said so far, by registry."""

    def __init__(self) -> None:
        self.registries: dict[str, RegistrySettings] = {}

    def of(self, host: str) -> RegistrySettings:
        from strake_oci.registry.settings import RegistrySettings

        return self.registries.get(host) or RegistrySettings()

    def change(self, host: str, **changes: Any) -> None:
        self.registries[host] = replace(self.of(host), **changes)

    def trust(self, host: str, **changes: Any) -> None:
        self.change(host, tls=replace(self.of(host).tls, **changes))

    def pair(self, flag: str, text: str, value: str) -> tuple[str, str]:
        host, _, rest = text.partition("=")
        if not rest:
            raise InvalidRequest(f"{flag} {text!r} is not understood", hint=f"write {flag} HOST={value}")
        return self.host(flag, host), rest

    def host(self, flag: str, text: str) -> str:
        """Return a registry's host as references spell it."""
        from strake_oci.errors import InvalidValueError
        from strake_oci.reference import Repository

        try:
            Repository(text, "x")
        except InvalidValueError as error:
            hint = "write HOST or HOST:PORT, without https://"
            raise InvalidRequest(f"{flag}: {error.message}", hint=hint) from error
        return _HUB if text in _HUB_HOSTS else text


def _file(flag: str, path: str) -> Path:
    found = Path(os.path.abspath(path))
    if not found.is_file():
        raise InvalidRequest(f"{flag}: there is no file {path}")
    return found
