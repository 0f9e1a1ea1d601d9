"""The kinds of requests that a builder pod may have, as one document."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from strake_api.requests.build import BuildRequest
from strake_api.requests.index import IndexRequest
from strake_api.requests.sources import SourceRequest

AnyRequest = BuildRequest | SourceRequest | IndexRequest
"""What `strake execute` carries out, by `kind`."""

_ADAPTER: TypeAdapter[AnyRequest] = TypeAdapter(
    Annotated[AnyRequest, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)


def parse_request(text: str | bytes) -> AnyRequest:
    """Return the request in a JSON document.

    Raises:
        ValueError: The text is none (pydantic's ValidationError is one).
    """
    return _ADAPTER.validate_json(text)
