"""The two kinds of document: those that refuse what they do not know, and those that skip it.

A request or a manifest with an unknown field is a mistake somebody wants to hear of. A status is
written by one version of the operator and read by another, so an unknown field there is history.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from strake_api.text import coloured, visible

GROUP = "strake.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ShownText = Annotated[str, AfterValidator(visible)]
"""A text for people, made visible when a document is written and again when one is read."""
ColouredText = Annotated[str, AfterValidator(coloured)]
"""The same of a step's output, which may have colours."""


class Document(BaseModel):
    """A document with camelCase keys on the wire that refuses unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        defer_build=True,  # a validator costs milliseconds to make; a process uses few of them
    )

    def to_json(self) -> str:
        """Return the document as compact JSON, absent values left out."""
        return self.model_dump_json(exclude_none=True, by_alias=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON-compatible values, absent values left out."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


class TolerantDocument(Document):
    """A document that skips unknown fields: written by one version, read by another."""

    model_config = ConfigDict(extra="ignore")
