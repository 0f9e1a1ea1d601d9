"""How registries refuse to move a tag."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile("immutab", re.IGNORECASE)
"""What ECR, Artifact Registry, Harbor and Quay say of a tag that may not move: their codes differ."""


def is_immutable(message: str) -> bool:
    """Say whether a registry's words refuse to move a tag."""
    return _WORDS.search(message) is not None
