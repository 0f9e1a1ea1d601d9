"""Warnings as text for people, as JSON in the form of `docker build --check`, and as SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from strake_api.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_builder.frontend.errors import DockerfileRefusedError
    from strake_builder.frontend.lint.checker import LintWarning

_MAX_SHOWN_LINES: Final = 12
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(warnings: Sequence[LintWarning]) -> str:
    """Return the warnings with the lines that they are about; "" for none."""
    return visible("\n".join(_paragraph(warning) for warning in warnings))


def _paragraph(warning: LintWarning) -> str:
    first = warning.span.first
    shown = [
        f"{first + number:>5} | {line}" for number, line in enumerate(warning.source_lines[:_MAX_SHOWN_LINES])
    ]
    if len(warning.source_lines) > _MAX_SHOWN_LINES:
        shown.append("    … |")
    head = f"{warning.file}:{first}: warning: {warning.message} [{warning.rule.name}]"
    return "\n".join((head, f"    {warning.rule.url}", *shown)) + "\n"


def as_json(warnings: Sequence[LintWarning], refused: DockerfileRefusedError | None = None) -> str:
    """Return a JSON document.

    Args:
        warnings: What lint found.
        refused: Why the file cannot be built at all, if so.
    """
    files = sorted({warning.file for warning in warnings})
    document: dict[str, Any] = {
        "warnings": [
            {
                "ruleName": warning.rule.name,
                "description": warning.rule.description,
                "url": warning.rule.url,
                "detail": warning.message,
                "location": {
                    "sourceIndex": files.index(warning.file),
                    "ranges": [{"start": {"line": warning.span.first}, "end": {"line": warning.span.last}}],
                },
            }
            for warning in warnings
        ],
        "sources": [{"filename": name} for name in files],
    }
    if refused is not None:
        document["buildError"] = {
            "message": refused.message,
            "problems": [
                {
                    "code": str(problem.code),
                    "message": problem.message,
                    "hint": problem.hint,
                    "filename": problem.file,
                    "line": problem.line,
                    "column": problem.column,
                }
                for problem in refused.problems
            ],
        }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def as_sarif(
    warnings: Sequence[LintWarning], refused: DockerfileRefusedError | None = None, *, version: str
) -> str:
    """Return a SARIF log, for code scanning.

    Args:
        warnings: What lint found.
        refused: Why the file cannot be built at all, if so.
        version: Strake's version.
    """
    rules = sorted({warning.rule for warning in warnings}, key=lambda rule: rule.name)
    results = [
        _result(
            warning.rule.name,
            "warning",
            warning.message,
            warning.file,
            {"startLine": warning.span.first, "endLine": warning.span.last},
        )
        for warning in warnings
    ]
    described = [
        {"id": rule.name, "shortDescription": {"text": rule.description}, "helpUri": rule.url}
        for rule in rules
    ]
    if refused is not None:
        codes = sorted({str(problem.code) for problem in refused.problems})
        described += [{"id": code, "shortDescription": {"text": code.replace("-", " ")}} for code in codes]
        results += [
            _result(str(p.code), "error", p.message, p.file, {"startLine": p.line, "startColumn": p.column})
            for p in refused.problems
        ]
    driver = {
        "name": "strake lint",
        "version": version,
        "informationUri": "https://strake.dev",
        "rules": described,
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _result(rule: str, level: str, message: str, file: str, region: dict[str, int]) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": {"uri": file}, "region": region}}
    return {"ruleId": rule, "level": level, "message": {"text": message}, "locations": [location]}
