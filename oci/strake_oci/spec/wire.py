"""Untrusted JSON: bounded, strict, and never half understood.

The pydantic models here are the only point where untyped documents enter; what leaves is plain validated
values that the neighbours turn into frozen dataclasses. Fields that no model knows are kept (`extra`), so
that reading and writing a document loses nothing.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from strake_oci.errors import InvalidDocumentError, SizeExceededError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes; what distribution-spec 1.1 asks registries to accept, and what this library reads at most."""

MAX_CONFIG: Final = 8 * 1024 * 1024
"""Bytes; far above any real image config."""

_MAX_SHOWN_ERRORS: Final = 3

ModelT = TypeVar("ModelT", bound="WireModel")


class WireModel(BaseModel):
    """Base of the wire models: strict types, unknown fields kept."""

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        defer_build=True,
    )


def _null_to(empty: type) -> BeforeValidator:
    # Go marshals a nil slice or map as null; readers everywhere take it for an empty one.
    return BeforeValidator(lambda value: empty() if value is None else value)


Size = Annotated[int, Field(ge=0, le=2**63 - 1)]
Text = Annotated[str, _null_to(str)]
Strings = Annotated[list[str], _null_to(list)]
StringMap = Annotated[dict[str, str], _null_to(dict)]
KeySet = Annotated[dict[str, dict[str, Any] | None], _null_to(dict)]
MediaType = Annotated[str, StringConstraints(max_length=255)]


def decode(model: type[ModelT], data: bytes, *, what: str, limit: int = MAX_MANIFEST) -> ModelT:
    """Parse and validate a JSON document.

    Args:
        model: What it must be.
        data: The bytes.
        what: Names the document in errors: "manifest".
        limit: The size in bytes from which on it is refused unread.

    Raises:
        SizeExceededError: Longer than the limit.
        InvalidDocumentError: Not JSON, nested too deeply, or not what the model says.
    """
    if len(data) > limit:
        raise SizeExceededError(f"{what} of {len(data)} bytes; at most {limit} are read")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocumentError(f"{what} is not valid: {_explain(error)}") from None


def encode(document: Mapping[str, Any] | list[dict[str, Any]]) -> bytes:
    """Return the document as compact UTF-8 JSON, keys in the order given: the same bytes every time."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def extra_of(model: WireModel) -> dict[str, Any]:
    """Return the fields that the model does not know.

    Raises:
        InvalidDocumentError: One holds a number that could not be written again: infinite, or none.
    """
    extra = dict(model.model_extra or {})
    if extra and not _is_finite(extra):
        raise InvalidDocumentError("a number in a field that is not known is infinite, or none")
    return extra


def _is_finite(value: object) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_is_finite, value.values()))
        case list():
            return all(map(_is_finite, value))
        case _:
            return True


def _explain(error: ValidationError) -> str:
    shown = []
    for entry in error.errors(include_url=False, include_input=False, include_context=False)[
        :_MAX_SHOWN_ERRORS
    ]:
        location = ".".join(str(part)[:64] for part in entry["loc"])
        shown.append(f"{location}: {entry['msg'][:160]}" if location else entry["msg"][:160])
    more = error.error_count() - len(shown)
    return "; ".join(shown) + (f" (and {more} more)" if more > 0 else "")
