"""What evaluation notices in passing that is not wrong, only unwise: raw material for lint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_builder.frontend.text.source import Span


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed.

    Attributes:
        rule: Name of the lint rule.
        message: What was noticed.
        span: Where.
        comments: Comments above the instruction, which may switch rules off.
    """

    rule: str
    message: str
    span: Span
    comments: tuple[str, ...] = ()
