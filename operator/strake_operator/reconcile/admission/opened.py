"""Which networks are open to what builds name: the platform's settings as BuildPolicies change them.

The builder's list has what is denied, and what of that is allowed again. A policy is such a list, too. What
one policy denies stays denied whatever another allows; what the platform alone denies a policy may open.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias

from strake_oci.http.denied_networks import parse_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strake_api.buildpolicy import Networks

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def opened(
    denied: Sequence[str], allowed: Sequence[str], policies: Sequence[Networks]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is denied and what of it is allowed again, of a namespace with these policies.

    Args:
        denied: By the platform.
        allowed: By the platform.
        policies: Of the namespace.
    """
    closed: list[_Network] = []
    opens = list(map(parse_network, allowed))
    for each in policies:
        mine = _networks(each.allow)
        closed += _without(_networks(each.deny), mine)
        opens += mine
    everywhere = dict.fromkeys([*denied, *(str(net) for each in policies for net in _networks(each.deny))])
    return tuple(everywhere), tuple(map(str, _without(opens, closed)))


def _networks(texts: Iterable[str]) -> list[_Network]:
    return [ipaddress.ip_network(text, strict=False) for text in texts]


def _without(networks: Iterable[_Network], taken: Iterable[_Network]) -> list[_Network]:
    """Return networks without the addresses of others, each once."""
    left = list(dict.fromkeys(networks))
    for each in taken:
        left = [part for network in left for part in _less(network, each)]
    return list(dict.fromkeys(left))


def _less(network: _Network, taken: _Network) -> list[_Network]:
    if not network.overlaps(taken):
        return [network]
    if isinstance(network, ipaddress.IPv4Network) and isinstance(taken, ipaddress.IPv4Network):
        return [] if network.subnet_of(taken) else list(network.address_exclude(taken))
    if isinstance(network, ipaddress.IPv6Network) and isinstance(taken, ipaddress.IPv6Network):
        return [] if network.subnet_of(taken) else list(network.address_exclude(taken))
    return [network]
