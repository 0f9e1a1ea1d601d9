"""Lint: the checks of `docker build --check`, by the same names, without running anything."""

from __future__ import annotations

from strake_builder.frontend.lint.checker import LintWarning, fails_on_warnings, lint, lint_plan
from strake_builder.frontend.lint.render import as_json, as_sarif, as_text
from strake_builder.frontend.lint.rules import RULES, Rule

__all__ = [
    "RULES",
    "LintWarning",
    "Rule",
    "as_json",
    "as_sarif",
    "as_text",
    "fails_on_warnings",
    "lint",
    "lint_plan",
]
