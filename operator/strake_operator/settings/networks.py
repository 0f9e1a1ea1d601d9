"""Networks that nothing a build names may lead to: those of every machine and cloud, and the platform's.

The builder checks addresses (`strake_oci.http.denied_networks`). What a RUN step reaches is for
NetworkPolicies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidValueError
from strake_oci.http.denied_networks import parse_network
from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DENY_VARIABLE: Final = "STRAKE_DENY_NETWORKS"
ALLOW_VARIABLE: Final = "STRAKE_ALLOW_NETWORKS"
ALWAYS_DENIED: Final = (
    "0.0.0.0/8",  # this machine (RFC 1122)
    "127.0.0.0/8",
    "::1/128",
    "169.254.0.0/16",  # link-local, with most clouds' metadata services (RFC 3927)
    "fe80::/10",
    "fd00:ec2::/32",  # AWS: metadata, identities of pods, time, names
    "fd20:ce::254/128",  # Google Cloud
    "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
    "168.63.129.16/32",  # Azure's WireServer
    "100.100.100.200/32",  # Alibaba Cloud
    "192.0.0.192/32",  # Oracle Cloud, classic
)


def read_denied(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return what builds must not reach: what is denied everywhere, and what the platform adds.

    Raises:
        SettingsError: The variable lists something that is no network.
    """
    return (*ALWAYS_DENIED, *_networks(environment, DENY_VARIABLE))


def read_allowed(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the platform opens again.

    Raises:
        SettingsError: The variable lists something that is no network.
    """
    return _networks(environment, ALLOW_VARIABLE)


def _networks(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = []
    for text in environment.get(name, "").replace(",", " ").split():
        try:
            found.append(str(parse_network(text)))
        except InvalidValueError as error:
            raise SettingsError(f"{name}: {error.message}; {error.hint}") from error
    return tuple(found)
