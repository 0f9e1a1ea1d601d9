"""A network in CIDR notation, or an address alone."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} is no network: write it as 10.0.0.0/8 or fd00::/8") from error


NetworkText = Annotated[str, Field(max_length=64), AfterValidator(_network)]
