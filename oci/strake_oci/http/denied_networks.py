"""Which addresses must not be connected to, whatever name stands for them.

A Dockerfile, a repository and a server's redirect name servers of their authors' choice, and the client runs
in a network that is not theirs. So addresses count, not names, and those that are connected to: a name that
resolves to another address a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote

from strake_oci.errors import InvalidValueError
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_V4: Final = 32
_V6: Final = 128
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAT64: Final = (
    (ipaddress.IPv6Network("64:ff9b::/96"), (96,)),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), (48, 56, 64, 96)),
)
"""Networks that translators take for IPv4, and the lengths of their prefixes (RFC 6052, RFC 8215)."""
_RESERVED: Final = 64
"""The bit from which on eight are left out where an IPv4 address spans them (RFC 6052, section 2.2)."""
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_LOOPBACK: Final = ipaddress.IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class DeniedNetworks:
    """Networks that must not be reached. An empty list denies nothing.

    Attributes:
        denied: What is closed.
        allowed: What of that is open again.
    """

    denied: tuple[Network, ...] = ()
    allowed: tuple[Network, ...] = ()

    @staticmethod
    def parse(denied: Iterable[str], allowed: Iterable[str] = ()) -> DeniedNetworks:
        """Read networks, as `parse_network` does.

        Raises:
            InvalidValueError: One of them is none.
        """
        return DeniedNetworks(tuple(map(parse_network, denied)), tuple(map(parse_network, allowed)))

    def network_of(self, address: str) -> Network | None:
        """Return the network by which an address is denied; None where it may be connected to.

        Args:
            address: As the system's resolver writes it; a scope ("%eth0") does not count.
        """
        if not self.denied:
            return None
        for meant in meanings(ipaddress.ip_address(address.partition("%")[0])):
            found = next((network for network in self.denied if meant in network), None)
            if found is not None and not any(meant in network for network in self.allowed):
                return found
        return None

    def network_of_literal(self, host: str) -> Network | None:
        """Return the network by which a host is denied that is an address itself, in any notation; else None.

        Octal, hexadecimal and shortened numbers are read as the system reads them (inet_aton).
        """
        if not self.denied:
            return None
        try:
            found = socket.getaddrinfo(
                unquote(host).rstrip("."), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except (OSError, UnicodeError):
            return None
        networks = (self.network_of(str(entry[4][0])) for entry in found)
        return next((network for network in networks if network is not None), None)


NONE_DENIED: Final = DeniedNetworks()


def parse_network(text: str) -> Network:
    """Return a network from CIDR notation, or from one address.

    Raises:
        InvalidValueError: It is none.
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=True)
    except ValueError as error:
        what = "has bits set after its prefix" if "host bits" in str(error) else "is no network"
        raise InvalidValueError(
            f"{text[:60]!r} {what}", hint="write it as 10.0.0.0/8, fd00::/8, or as one address"
        ) from error
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        embedded = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((embedded, network.prefixlen - (_V6 - _V4)))
    return network


def meanings(address: Address) -> Iterator[Address]:
    """Yield the addresses at which what is sent to an address may arrive, in the forms that lists name.

    An IPv4 address in an IPv6 one counts as what it is: mapped (RFC 4291), by NAT64 (RFC 6052), 6to4
    (RFC 3056), Teredo (RFC 4380). The unspecified address is this machine, to Linux.
    """
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        if address.is_unspecified:
            yield _LOOPBACK
        return
    if address.ipv4_mapped is not None:
        yield from meanings(address.ipv4_mapped)
        return
    yield address
    if address.is_unspecified:
        yield _LOOPBACK
        yield ipaddress.IPv6Address(1)
        return
    for embedded in _embedded(address):
        yield from meanings(embedded)


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address in _COMPATIBLE and not address.is_loopback:
        yield ipaddress.IPv4Address(int(address))
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    for network, lengths in _NAT64:
        if address in network:
            found = (_translated(int(address), length) for length in lengths)
            # Of a prefix of unknown length: zeros are what is before or after the address.
            yield from (each for each in found if len(lengths) == 1 or each not in _THIS_NETWORK)


def _translated(number: int, length: int) -> ipaddress.IPv4Address:
    """Return the IPv4 address after a prefix (RFC 6052, section 2.2)."""
    bits = f"{number:0128b}"
    if length <= _RESERVED:
        bits = bits[:_RESERVED] + bits[_RESERVED + 8 :]
    return ipaddress.IPv4Address(int(bits[length : length + _V4], 2))
