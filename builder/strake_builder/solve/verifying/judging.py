"""Decides what findings mean: which are ignored, and whether the rest is bad enough to fail a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from strake_api.models.verification import SEVERITIES, Check, FindingCounts, IgnoredFinding, Severity
from strake_builder.solve.verifying.findings import Finding
from strake_oci.lazy_dataclass import dataclass

_NAMED: Final = 5
"""Findings that a message names."""
_DEFAULT: Final[Severity] = "high"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scan's findings mean.

    Attributes:
        counts: of what is not ignored, by severity.
        problem: why the check fails; empty where it passes.
        warnings: of entries of the ignore list that do nothing.
    """

    counts: FindingCounts
    problem: str
    warnings: tuple[str, ...]


def judge(check: Check, findings: Sequence[Finding], today: date) -> Verdict:
    """Return what findings mean for a check.

    Args:
        check: a scan.
        findings: what its scanner found.
        today: the present day, in UTC.
    """
    valid = {each.id for each in check.ignore if not _is_expired(each, today)}
    ignored = [each for each in findings if _names(each) & valid]
    left = [each for each in findings if not _names(each) & valid]
    numbers = Counter(each.severity for each in left)
    counts = FindingCounts(**{str(name): number for name, number in numbers.items()}, ignored=len(ignored))
    least = SEVERITIES.index(check.fail_on or _DEFAULT)
    bad = sorted(
        (each for each in left if SEVERITIES.index(each.severity) >= least),
        key=lambda each: (-SEVERITIES.index(each.severity), each.id, each.package),
    )
    return Verdict(counts, _problem(bad) if bad else "", tuple(_warnings(check, findings, today)))


def _is_expired(entry: IgnoredFinding, today: date) -> bool:
    return entry.expires is not None and date.fromisoformat(entry.expires) < today


def _names(finding: Finding) -> frozenset[str]:
    return finding.also | {finding.id}


def _problem(bad: Sequence[Finding]) -> str:
    numbers = Counter(each.severity for each in bad)
    counted = ", ".join(f"{numbers[each]} {each}" for each in reversed(SEVERITIES) if numbers[each])
    named = "; ".join(map(str, bad[:_NAMED]))
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"vulnerabilities found: {counted}: {named}{more}"


def _warnings(check: Check, findings: Sequence[Finding], today: date) -> Iterable[str]:
    found = {name for each in findings for name in _names(each)}
    for entry in check.ignore:
        if _is_expired(entry, today):
            yield f"the check {check.name} ignores {entry.id} no more: that ended on {entry.expires}"
        elif entry.id not in found:
            yield f"the check {check.name} ignores {entry.id}, which was not found: drop the entry"
