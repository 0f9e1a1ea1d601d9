"""How a builder pod asks for addresses: name servers, domains to search, options."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.host_alias import Address, HostName
from strake_api.models.rule import Rule, checked

_SEARCH = r"^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_.])?$|^[.]$"
SEARCHES: Rule[tuple[str, ...]] = Rule(
    f"self.all(name, name.matches('{_SEARCH}'))",
    "searches are domains, as svc.cluster.local",
    lambda names: all(re.fullmatch(_SEARCH, name, re.ASCII) for name in names),
)


class DNSOption(Document):
    """An option of the resolver, as ndots: 2."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=63)]
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$", max_length=63)] | None = None


class DNSConfig(Document):
    """What is added to the pod's /etc/resolv.conf."""

    nameservers: Annotated[tuple[Address, ...], Field(max_length=3)] | None = None
    searches: Annotated[tuple[HostName, ...], Field(max_length=32), *checked(SEARCHES)] | None = None
    options: Annotated[tuple[DNSOption, ...], Field(max_length=32)] | None = None
