"""What the platform says about registries, as a request and a pod carry it: certificates and proxies.

A CA is public and goes into the request. A client certificate has a key and is mounted from a Secret of the
build's namespace. Proxies are the environment of the builder, and the predefined arguments of its steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.registries import ClientCertificate, RequestedRegistry
from strake_api.requests.build import BuildArg
from strake_api.values.destinations import sample
from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference
from strake_operator.names import certificate_volume

if TYPE_CHECKING:
    from strake_operator.manifests.objects import Manifest
    from strake_operator.registries.document import PlatformRegistries, PlatformRegistry, Proxy

CERTIFICATE_DIRECTORY: Final = "/strake/certificates"
_KEYS: Final = ("tls.crt", "tls.key")


def requested_hosts(
    registries: PlatformRegistries, *, own_names: bool = False
) -> dict[str, RequestedRegistry]:
    """Return how a build reaches registries, with the paths where the pod mounts certificates.

    Args:
        registries: What the platform says.
        own_names: Whether the author of the build says which address a registry's name has. Then nothing
            but a certificate tells whose server it is, and no password goes where there is none: the author
            may name a Secret that they cannot read.
    """
    return {host: _requested(registry, own_names) for host, registry in registries.registries.items()}


def _requested(registry: PlatformRegistry, own_names: bool) -> RequestedRegistry:
    secret = registry.client_certificate_secret
    return RequestedRegistry(
        mirrors=registry.mirrors,
        mirrors_only=registry.mirrors_only,
        insecure=registry.insecure,
        insecure_credentials=registry.insecure_credentials and not own_names,
        insecure_skip_tls_verify=registry.insecure_skip_tls_verify and not own_names,
        ca=registry.ca,
        client_certificate=ClientCertificate(secret=secret, directory=f"{CERTIFICATE_DIRECTORY}/{secret}")
        if secret
        else None,
    )


def certificate_volumes(
    registries: PlatformRegistries, destinations: tuple[str, ...]
) -> tuple[list[Manifest], list[Manifest]]:
    """Return volumes and mounts of the registries' client certificates, where `requested_hosts` says.

    The pod waits for those of the build's destinations. Which registries it pulls from nobody knows before
    the Dockerfile is read, and a cache is no reason to fail. The builder says so when it misses a
    certificate; a namespace that never uses a registry needs no Secret for it. Only the gateway mounts them,
    and another user runs it.
    """
    used = _hosts(destinations)
    secrets: dict[str, bool] = {}
    for host, registry in registries.registries.items():
        if (secret := registry.client_certificate_secret) is not None:
            secrets[secret] = secrets.get(secret, False) or host in used
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    for number, (secret, needed) in enumerate(sorted(secrets.items())):
        name = certificate_volume(number, secret)
        items = [{"key": key, "path": key} for key in _KEYS]
        volumes.append(
            {
                "name": name,
                "secret": {
                    "secretName": secret,
                    "items": items,
                    "defaultMode": 0o444,
                    "optional": not needed,
                },
            }
        )
        mounts.append({"name": name, "mountPath": f"{CERTIFICATE_DIRECTORY}/{secret}", "readOnly": True})
    return volumes, mounts


def _hosts(destinations: tuple[str, ...]) -> set[str]:
    found = set()
    for name in destinations:
        try:
            found.add(Reference.parse(sample(name)).repository.registry)
        except OCIError:
            continue  # the builder refuses it, with better words
    return found


def proxy_environment(proxy: Proxy) -> list[Manifest]:
    """Return the builder's variables, in both cases: git, by libcurl, knows http_proxy in lower case only."""
    return [
        {"name": spelled, "value": value}
        for name, value in proxy.variables.items()
        for spelled in (name, name.lower())
    ]


def with_proxy_arguments(args: tuple[BuildArg, ...], proxy: Proxy) -> tuple[BuildArg, ...]:
    """Return a build's arguments and the platform's proxies; what the build says itself counts.

    Docker's client does so with the proxies of its config file. RUN steps see them in their environment;
    image, history and cache keys do not have them.
    """
    given = {argument.name.upper() for argument in args}
    return (
        *args,
        *(BuildArg(name=n, value=value) for n, value in proxy.variables.items() if n not in given),
    )
