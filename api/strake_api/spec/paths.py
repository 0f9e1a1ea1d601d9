"""Paths inside the source of a build."""

from __future__ import annotations

from strake_api.models.rule import Rule


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def inside(field: str) -> Rule[str]:
    """Return the rule for a path that a field holds."""
    return Rule(
        "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
        f"{field} is relative to the source and cannot leave it: drop the leading '/' and any '..'",
        _is_inside,
    )
