"""Names of objects in a cluster: DNS subdomains in lower case (RFC 1123), at most 253 characters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
