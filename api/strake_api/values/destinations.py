"""Destinations whose tag has fields: what fields there are, what fills them, what a filled one looks like.

A field is a word of a closed list in braces, and stands in the tag alone: the repository, by which
credentials and rights go, is what the spec says. Each value has the characters of a tag and no other, so that
none can become a repository, a digest or another field.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
_PATTERNS: Final = {
    "branch": _WORD,
    "revision": r"(?:[0-9a-f]{40}|[0-9a-f]{64})",
    "shortRevision": r"[0-9a-f]{7}",
    "timestamp": r"[0-9]{10}",
    "date": r"[0-9]{8}",
    "generation": r"[0-9]{1,10}",
}
"""What each field is filled with."""
FIELD: Final = "[{](" + "|".join(_PATTERNS) + ")[}]"
"""A pattern of one field, in the syntax that RE2 and Python share."""
OF_GIT: Final = ("branch", "revision", "shortRevision")
"""Fields that only a git source has a value for."""
_SAMPLE: Final = "0"
_SHORT: Final = 7
_LONGEST_BRANCH: Final = 63


def fields_of(destination: str) -> frozenset[str]:
    """Return the fields of a destination."""
    return frozenset(re.findall(FIELD, destination))


def filled(destination: str, values: Mapping[str, str]) -> str:
    """Return a destination with the values that are known; other fields stay."""
    return re.sub(FIELD, lambda found: values.get(found[1], found[0]), destination)


def sample(destination: str) -> str:
    """Return a destination with something in place of each field: for who wants its repository."""
    return re.sub(FIELD, _SAMPLE, destination)


def tag_of(destination: str) -> str:
    """Return the tag of a destination, with its fields; latest where it has none."""
    name, colon, tag = destination.rpartition(":")
    return tag if colon and name and "/" not in tag else "latest"


def tag_pattern(tag: str) -> re.Pattern[str]:
    """Return what a tag with fields may become."""
    parts = re.split(FIELD, tag)
    pattern = "".join(_PATTERNS[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.compile(pattern, re.ASCII)


def branch_value(ref: str) -> str:
    """Return a ref as a tag can hold it: without refs/heads/, other characters than a tag's as one `-`."""
    name = re.sub(r"^refs/(heads|tags)/", "", ref)
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:_LONGEST_BRANCH] or _SAMPLE


def run_values(revision: str | None, moment: datetime) -> dict[str, str]:
    """Return the values that only a run knows.

    Args:
        revision: The commit that is built, of a source that has one.
        moment: When the build started.
    """
    moment = moment.astimezone(UTC)
    values = {"timestamp": f"{int(moment.timestamp()):010d}", "date": f"{moment:%Y%m%d}"}
    return values | ({} if revision is None else {"revision": revision, "shortRevision": revision[:_SHORT]})
