"""The kinds of requests that a builder pod may have, as one document."""

from __future__ import annotations

from typing import Literal, assert_never

from strake_api.models.document import TolerantDocument
from strake_api.requests.build import BuildRequest
from strake_api.requests.index import IndexRequest
from strake_api.requests.sources import SourceRequest

AnyRequest = BuildRequest | SourceRequest | IndexRequest
"""What `strake execute` carries out, by `kind`."""


class _Kind(TolerantDocument):
    kind: Literal["BuildRequest", "SourceRequest", "IndexRequest"] = "BuildRequest"


def parse_request(text: str | bytes) -> AnyRequest:
    """Return the request in a JSON document; one that names no kind is a BuildRequest.

    Raises:
        ValueError: The text is none (pydantic's ValidationError is one).
    """
    kind = _Kind.model_validate_json(text).kind  # not a tagged union of pydantic's: errors would name the tag
    match kind:
        case "BuildRequest":
            return BuildRequest.model_validate_json(text)
        case "SourceRequest":
            return SourceRequest.model_validate_json(text)
        case "IndexRequest":
            return IndexRequest.model_validate_json(text)
        case _:
            assert_never(kind)
