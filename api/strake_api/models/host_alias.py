"""Names of an address: in an ImageBuild's spec and in a BuildRequest alike."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked

# CEL's isIP is younger than the oldest cluster that Strake runs on.
_ADDRESS = r"^([0-9]{1,3}[.]){3}[0-9]{1,3}$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$"
_HOST = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"

AN_ADDRESS: Rule[str] = Rule(
    f"self.matches('{_ADDRESS}')",
    "this is no IP address: write 10.1.2.3 or fd00::1",
    lambda text: re.fullmatch(_ADDRESS, text, re.ASCII) is not None,
)
HOST_NAMES: Rule[tuple[str, ...]] = Rule(
    f"self.all(name, name.matches('{_HOST}'))",
    "hostnames are names in lower case, as registry.example",
    lambda names: all(re.fullmatch(_HOST, name, re.ASCII) for name in names),
)

Address = Annotated[str, Field(max_length=45), *checked(AN_ADDRESS)]
HostName = Annotated[str, Field(max_length=253)]


class HostAlias(Document):
    """Names of an address, as a line of /etc/hosts."""

    ip: Address
    hostnames: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=16), *checked(HOST_NAMES)]
