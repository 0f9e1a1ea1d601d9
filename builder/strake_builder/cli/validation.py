"""Says what a document's validation found, as a sentence and not as pydantic's report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from pydantic import ValidationError

_SHOWN: Final = 5
_RULE: Final = "Value error, "


@contextmanager
def validated(document: str = "") -> Iterator[None]:
    """Turn what pydantic finds wrong with a document into the error that a user gets.

    Args:
        document: names it in the error; "" where the user wrote flags and no document.

    Raises:
        InvalidRequestError: a document that is made in the context is not valid.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        found = _problems(error)
        raise InvalidRequestError(f"{document} is not valid: {found}" if document else found) from error


def _problems(error: ValidationError) -> str:
    """Return the first few problems: where each is, and what is wrong there."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), str(each["msg"]).removeprefix(_RULE))))
        for each in error.errors()[:_SHOWN]
    )
