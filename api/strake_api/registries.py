"""How registries are reached: one set of words for the platform's settings and for a BuildRequest.

The words are those that people know: `mirrors`, `insecure` and `ca` from containerd, BuildKit and podman,
`insecureSkipTLSVerify` from Kubernetes. A CA's certificate is public and stands in the document itself; a
client certificate comes with a key and is only named.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from strake_api.models.document import Document
from strake_api.values.object_name import Name

CA_LIMIT: Final = 256 * 1024
"""Characters of all CAs together: they are in every build's ConfigMap, which holds 1 MiB with the context."""

_COMPONENT: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(
    rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[A-Fa-f0-9:]+\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII
)
_PREFIX: Final = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*", re.ASCII)
_HUB_HOSTS: Final = frozenset({"index.docker.io", "registry-1.docker.io"})
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found["port"] or 1) in range(1, 1 << 16)


def _host(text: str) -> str:
    if text in _HUB_HOSTS:
        raise ValueError(f"Docker Hub is docker.io in the names of images: write docker.io, not {text}")
    if not _is_host(text):
        raise ValueError(
            f"{text[:120]!r} is not a registry: write host or host:port, without https:// and path"
        )
    return text


def _mirror(text: str) -> str:
    host, slash, prefix = text.partition("/")
    if not _is_host(host) or (slash and not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"{text[:120]!r} is not a mirror: write host[:port][/prefix], without https:// and in lower case"
        )
    return text


def _certificates(text: str) -> str:
    """Return the certificates without what is between them; a private key is a mistake."""
    import ssl

    kinds = [found[1] for found in _BLOCK.finditer(text)]
    if any("PRIVATE KEY" in kind for kind in kinds):
        raise ValueError("it holds a private key, which every builder could read: give certificates only")
    if not kinds or set(kinds) != {"CERTIFICATE"}:
        raise ValueError("it must hold PEM certificates, each from -----BEGIN CERTIFICATE----- to its end")
    found = "".join(f"{block[0]}\n" for block in _BLOCK.finditer(text))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError, TypeError) as error:
        # What OpenSSL says of it (NOT_ENOUGH_DATA) tells nobody what to do.
        raise ValueError("one of its certificates is damaged: copy it anew") from error
    return found


def _absolute(path: str) -> str:
    if not PurePosixPath(path).is_absolute() or "\0" in path:
        raise ValueError(f"it must be an absolute path, not {path[:120]!r}")
    return path


RegistryHost = Annotated[str, Field(max_length=261), AfterValidator(_host)]
"""A registry's `host` or `host:port`, as it stands in the names of its images."""
MirrorLocation = Annotated[str, Field(max_length=512), AfterValidator(_mirror)]
"""A mirror's `host[:port][/prefix]`; the prefix goes before a repository's path."""
CertificatesPEM = Annotated[str, Field(max_length=CA_LIMIT), AfterValidator(_certificates)]
"""Certificates in PEM, as many as there are."""


class RegistryAccess(Document):
    """How one registry is reached. Without a word about it: by TLS that the system's CAs vouch for."""

    mirrors: Annotated[tuple[MirrorLocation, ...], Field(max_length=16)] = ()
    """Asked in order before the registry, for pulls only. How they are reached is set under their names."""
    mirrors_only: bool = False
    """Do not ask the registry itself when no mirror has an image."""
    insecure: bool = False
    """Speak plain HTTP."""
    insecure_credentials: bool = False
    """Send passwords and tokens over plain HTTP, too, where everybody on the way can read them."""
    insecure_skip_tls_verify: Annotated[bool, Field(alias="insecureSkipTLSVerify")] = False
    """Accept any certificate of the registry: for tests."""
    ca: CertificatesPEM | None = None
    """CAs to trust for this registry besides the system's, in PEM."""

    @model_validator(mode="after")
    def _access_rules(self) -> Self:
        if self.mirrors_only and not self.mirrors:
            raise ValueError("mirrorsOnly needs mirrors: without any, nothing could be pulled")
        if self.insecure_credentials and not self.insecure:
            raise ValueError("insecureCredentials is about plain HTTP: it needs insecure, or drop it")
        if self.insecure and (self.ca is not None or self.insecure_skip_tls_verify):
            raise ValueError("insecure is plain HTTP, which has no certificates: drop it, or the rest")
        return self


class ClientCertificate(Document):
    """What the builder shows to a registry: the content of a Secret of type kubernetes.io/tls."""

    secret: Name
    """The Secret's name, for errors."""
    directory: Annotated[str, AfterValidator(_absolute)]
    """Where it is mounted, with `tls.crt` and `tls.key`. They may be missing if the registry is not used."""


class RequestedRegistry(RegistryAccess):
    """How a build reaches one registry."""

    client_certificate: ClientCertificate | None = None

    @model_validator(mode="after")
    def _certificate_needs_tls(self) -> Self:
        if self.insecure and self.client_certificate is not None:
            raise ValueError("insecure is plain HTTP, which shows no certificate: drop one of the two")
        return self
