"""Digests as the documents carry them: bounded text, parsed by those who use it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

DigestText = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-zA-Z=_-]+$", max_length=256)]
"""A digest in the grammar of the OCI image specification."""
