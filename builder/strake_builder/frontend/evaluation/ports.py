"""EXPOSE: `[ip:][host:]port[-port][/protocol]` to "port/protocol".

Addresses and host ports are taken and dropped, as BuildKit does, with a lint warning.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_oci.lazy_dataclass import dataclass

_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp"})
_MAX_PORT: Final = 65535
_NUMBER: Final = re.compile(r"[+]?[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One argument of EXPOSE.

    Attributes:
        first: Lowest port.
        last: Highest port.
        protocol: As written; "tcp" when not.
        is_mapping: True when an address or host port was given.
    """

    first: int
    last: int
    protocol: str
    is_mapping: bool

    def ports(self) -> list[str]:
        """Return "port/protocol" for each port."""
        return [f"{port}/{self.protocol.lower()}" for port in range(self.first, self.last + 1)]


def parse_port(text: str) -> PortSpec:
    """Read one argument.

    Raises:
        FaultError: It is no port, range, protocol or address.
    """
    *mapping, container = text.split(":")
    host = mapping.pop() if mapping else ""
    address = ":".join(mapping)
    ports, _, protocol = container.partition("/")
    if not ports:
        raise _invalid(text, "no port specified")
    if protocol.lower() not in ("", *_PROTOCOLS):
        raise _invalid(text, f"invalid protocol {protocol[:20]!r}", "use tcp, udp or sctp")
    _check_address(text, address)
    first, last = _range(text, ports)
    if host:
        host_first, host_last = _range(text, host)
        if host_last - host_first != last - first and first != last:
            raise _invalid(text, f"the ranges {ports} and {host} differ in length")
    return PortSpec(first, last, protocol or "tcp", is_mapping=bool(host or address))


def _check_address(text: str, address: str) -> None:
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if not bare:
        return
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise _invalid(text, f"invalid IP address {address[:60]!r}") from None


def _range(text: str, ports: str) -> tuple[int, int]:
    first, dash, last = ports.partition("-")
    begin = _number(text, first)
    end = _number(text, last) if dash else begin
    if end < begin:
        raise _invalid(text, f"the range {ports} goes backwards")
    return begin, end


def _number(text: str, digits: str) -> int:
    if not _NUMBER.match(digits) or int(digits) > _MAX_PORT:
        raise _invalid(text, f"{digits[:20]!r} is no port", "ports are numbers from 0 to 65535")
    return int(digits)


def _invalid(text: str, why: str, hint: str = "write EXPOSE 8080 or EXPOSE 53/udp") -> FaultError:
    return FaultError(Code.INVALID_PORT, f"invalid port {text[:60]!r}: {why}", hint=hint, needle=text)
