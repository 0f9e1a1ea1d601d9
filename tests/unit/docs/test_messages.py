"""Messages on the page about troubles are messages that the sources have, word for word."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from strake_api.reasons import FailureReason, ProgressReason
from tests.pages.blocks import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
ROWS = [row for row in re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE) if row not in {"you see", "---"}]
TOLD = sorted(
    {message for row in ROWS for message in re.findall(r"`([^`]+)`", row)} - {"CACHED", "strake rebuild"}
)
REASONS = {str(reason) for kind in (FailureReason, ProgressReason) for reason in kind}
PACKAGES = ("api", "oci", "builder", "operator", "kubectl")


@cache
def texts() -> tuple[str, ...]:
    """Return every text of the sources, with `…` for what is filled in."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Constant(value=str() as text):
                        found.add(text)
                    case ast.JoinedStr(values=parts):
                        found.add(
                            "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in parts)
                        )
    return tuple(found)


@pytest.mark.parametrize("message", TOLD)
def test_it_is_what_people_see(message):
    assert message in REASONS or any(message in text for text in texts()), message


def test_there_are_many():
    assert len(TOLD) > 25
