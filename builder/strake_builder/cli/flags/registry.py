"""Flags of how registries are reached: plain HTTP, trust, mirrors. Names are those of kaniko's executor."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from strake_builder.cli.flags.networks import add_network_flag, read_networks
from strake_builder.cli.flags.values.switches import add_switch
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_builder.cli.registries.registry_access import RegistrySettingsBuilder
    from strake_oci.registry.settings import ClientSettings, RegistrySettings


def add_registry_flags(parser: argparse.ArgumentParser, *, words_follow: bool = False) -> None:
    """Add the flags that `read_registries` reads, with that of networks.

    Args:
        parser: the command's.
        words_follow: the command takes words besides flags; a switch must not take one for its value.
    """
    group = parser.add_argument_group("registries; all but the last may be given more than once")

    def add(flag: str, value: str, text: str) -> None:
        group.add_argument(flag, metavar=value, action="append", default=[], help=text)

    add("--insecure-registry", "HOST[:PORT]", "a registry that is spoken to over plain HTTP")
    add(
        "--insecure-credentials",
        "HOST[:PORT]",
        "send passwords and tokens to an insecure registry, too: everybody on the way can read them",
    )
    add("--registry-certificate", "HOST[:PORT]=FILE", "a CA's certificates (PEM) to trust for a registry")
    add(
        "--registry-client-cert",
        "HOST[:PORT]=CERT,KEY",
        "a certificate and its key (PEM) to show to a registry",
    )
    add("--skip-tls-verify-registry", "HOST[:PORT]", "accept any certificate of a registry: for tests")
    add(
        "--registry-map",
        "HOST=MIRROR[/PREFIX][;MIRROR…][;HOST=…]",
        "pull what a registry has from its mirrors, asked in order; what none has, or has right, comes from "
        "the registry",
    )
    add("--registry-mirror", "MIRROR[/PREFIX]", "the same as --registry-map docker.io=MIRROR")
    name, text = "--skip-default-registry-fallback", "of registries with mirrors, ask the mirrors only"
    if words_follow:
        group.add_argument(name, action="store_true", help=text)
    else:
        add_switch(group, name, text)
    add_network_flag(parser)


def read_registries(arguments: argparse.Namespace, *insecure: str) -> ClientSettings:
    """Return what the flags say.

    Args:
        arguments: the command's.
        *insecure: more registries that are spoken to over plain HTTP.

    Raises:
        InvalidRequestError: a flag is malformed, or names a file that is not there.
    """
    from strake_builder.cli.registries.registry_access import RegistrySettingsBuilder

    builder = RegistrySettingsBuilder()
    for text in (*arguments.insecure_registry, *insecure):
        builder.plain_http("--insecure-registry", text)
    for text in getattr(arguments, "plain_fallback_registry", ()):
        builder.plain_fallback("--insecure", text)
    for text in arguments.insecure_credentials:
        builder.clear_credentials("--insecure-credentials", text)
    _read_trust(arguments, builder)
    _read_mirrors(arguments, builder)
    return builder.settings(read_networks(arguments))


def read_pulling(arguments: argparse.Namespace, settings: ClientSettings) -> ClientSettings | None:
    """Return how registries of base images are reached, where --insecure-pull and its like say otherwise."""
    from dataclasses import replace

    plain = getattr(arguments, "insecure_pull", False)
    unverified = getattr(arguments, "skip_tls_verify_pull", False)
    if not plain and not unverified:
        return None

    def changed(each: RegistrySettings) -> RegistrySettings:
        tls = replace(each.tls, verify=False) if unverified else each.tls
        return replace(each, plain_fallback=each.plain_fallback or plain, tls=tls)

    registries = {host: changed(each) for host, each in settings.registries.items()}
    return replace(settings, registries=registries, default=changed(settings.default))


def _read_trust(arguments: argparse.Namespace, builder: RegistrySettingsBuilder) -> None:
    for text in arguments.skip_tls_verify_registry:
        builder.trust("--skip-tls-verify-registry", text, verify=False)
    for text in arguments.registry_certificate:
        flag = "--registry-certificate"
        host, path = _pair(flag, text, "FILE")
        builder.trust_authority(flag, host, file=_file(flag, path))
    for text in arguments.registry_client_cert:
        flag = "--registry-client-cert"
        host, paths = _pair(flag, text, "CERT,KEY")
        certificate, _, key = paths.partition(",")
        files = [_file(flag, path) for path in (certificate, key or certificate)]
        builder.trust(flag, host, client_certificate=files[0], client_key=files[1])


def _read_mirrors(arguments: argparse.Namespace, builder: RegistrySettingsBuilder) -> None:
    only: bool = arguments.skip_default_registry_fallback
    maps = [*arguments.registry_map, *(f"docker.io={mirror}" for mirror in arguments.registry_mirror)]
    if only and not maps:
        hint = "name mirrors with --registry-map or --registry-mirror"
        raise InvalidRequestError("--skip-default-registry-fallback: there are no mirrors", hint=hint)
    for host, mirror in (pair for text in maps for pair in _mapped(text)):
        builder.mirror("--registry-map", host, [mirror], only=only)


def _mapped(text: str) -> Iterator[tuple[str, str]]:
    """Yield the registries and mirrors of one `--registry-map`: A=M;N;B=O, as kaniko has them, too."""
    host = ""
    for part in filter(None, text.split(";")):
        if "=" in part or not host:
            host, part = _pair("--registry-map", part, "MIRROR[/PREFIX]")  # noqa: PLW2901 - the mirror alone
        yield host, part


def _pair(flag: str, text: str, value: str) -> tuple[str, str]:
    host, _, rest = text.partition("=")
    if not rest:
        raise InvalidRequestError(f"{flag} {text!r} is not understood", hint=f"write {flag} HOST={value}")
    return host, rest


def _file(flag: str, path: str) -> Path:
    found = Path(os.path.abspath(path))
    if not found.is_file():
        raise InvalidRequestError(f"{flag}: there is no file {path}")
    return found
