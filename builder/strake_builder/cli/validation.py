"""Says what a document's validation found, as a sentence and not as pydantic's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import ValidationError

_SHOWN: Final = 5
_RULE: Final = "Value error, "


def problems(error: ValidationError) -> str:
    """Return the first few problems: where each is, and what is wrong there."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), str(each["msg"]).removeprefix(_RULE))))
        for each in error.errors()[:_SHOWN]
    )
