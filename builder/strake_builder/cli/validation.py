"""Reads the files that a command is given, and says what is wrong with them in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from pydantic import ValidationError

_SHOWN: Final = 5
_RULE: Final = "Value error, "


def read_bounded(what: str, path: str, limit: int) -> bytes:
    """Return the content of a file.

    Args:
        what: names it in errors.
        path: where it is.
        limit: bytes at most, whole MiB.

    Raises:
        InvalidRequestError: it cannot be read, or is larger.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InvalidRequestError(f"cannot read {what}: {error.strerror}") from error
    if len(content) > limit:
        raise InvalidRequestError(f"{what} is larger than {limit >> 20} MiB")
    return content


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
