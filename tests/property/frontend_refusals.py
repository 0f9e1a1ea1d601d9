"""Calls that may be refused: the refusal becomes a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strake_builder.errors import DockerfileError


def attempt(call: Callable[..., Any], *arguments: Any) -> tuple[Any, DockerfileError | None]:
    """Return the result and None, or None and the package's error; anything else comes through."""
    try:
        return call(*arguments), None
    except DockerfileError as error:
        return None, error
