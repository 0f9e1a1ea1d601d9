"""What the platform says about registries and proxies: the models of one YAML file."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from strake_api.models.document import Document
from strake_api.registries import CA_LIMIT, CertificatesPEM, RegistryAccess, RegistryHost
from strake_api.values.object_name import Name

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def _proxy(text: str) -> str:
    """Return a proxy's URL. The text is in no message: it may hold a password."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _CONTROL.search(text) or " " in text:
        raise ValueError("it is not the URL of an HTTP proxy: write it as http://host:port")
    if "@" in parts.netloc:
        raise ValueError(
            "it must not hold a user name or password, which every build could read: "
            "let the proxy know builder pods by their addresses"
        )
    return text


def _exceptions(text: str) -> str:
    if _CONTROL.search(text) or "://" in text:
        raise ValueError(
            "write hosts, .domains, addresses and CIDR blocks, separated by commas and without https://"
        )
    return text


def _path(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("it is not the path of a file: write it on one line")
    return text


ProxyURL = Annotated[str, Field(max_length=2048), AfterValidator(_proxy)]
CAFile = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_path)]
"""A path; a relative one starts at the directory of the settings."""


class Proxy(Document):
    """The way out of the cluster. The names are those of Docker's config file and of OpenShift's Proxy."""

    http_proxy: ProxyURL | None = None
    """Asked for http:// URLs."""
    https_proxy: ProxyURL | None = None
    """Asked for https:// URLs; its own is most often http://."""
    no_proxy: Annotated[str, Field(max_length=8192), AfterValidator(_exceptions)] | None = None
    """What is asked directly: hosts, .domains, addresses and CIDR blocks, separated by commas."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that say the same, in upper case."""
        named = {"HTTP_PROXY": self.http_proxy, "HTTPS_PROXY": self.https_proxy, "NO_PROXY": self.no_proxy}
        return {name: value for name, value in named.items() if value}


class PlatformRegistry(RegistryAccess):
    """How builds reach one registry."""

    ca_file: CAFile | None = None
    """The file that holds `ca`."""
    client_certificate_secret: Name | None = None
    """A Secret of type kubernetes.io/tls in each build's namespace, shown to the registry."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.ca is not None and self.ca_file is not None:
            raise ValueError("give ca or caFile, not both")
        if self.insecure and (self.ca_file is not None or self.client_certificate_secret is not None):
            raise ValueError("insecure is plain HTTP, which has no certificates: drop it, or the rest")
        return self


class PlatformRegistries(Document):
    """Everything that the platform says about registries."""

    registries: Annotated[dict[RegistryHost, PlatformRegistry], Field(max_length=256)] = Field(
        default_factory=dict
    )
    """By host, as it stands in the names of images."""
    ca: CertificatesPEM | None = None
    """CAs that builders trust besides the system's, whatever they ask: registries, git, ADD."""
    ca_file: CAFile | None = None
    """The file that holds `ca`."""
    proxy: Proxy = Proxy()

    @model_validator(mode="after")
    def _rules(self) -> Self:
        if self.ca is not None and self.ca_file is not None:
            raise ValueError("give ca or caFile, not both")
        size = len(self.ca or "") + sum(len(each.ca or "") for each in self.registries.values())
        if size > CA_LIMIT:
            raise ValueError(
                f"the CAs have {size} characters and may have {CA_LIMIT}, since each build carries them: "
                "give a CA for everything once, at the top, or each registry its own and not a bundle of all"
            )
        return self
