"""What findings mean: severities, ignore lists, and entries of those that do nothing."""

from __future__ import annotations

from datetime import date

import pytest

from strake_api.models.verification import SEVERITIES, Check
from strake_builder.solve.verifying.findings import Finding
from strake_builder.solve.verifying.judging import judge

TODAY = date(2026, 11, 29)


def check(**more: object) -> Check:
    return Check.model_validate({"name": "cves", "kind": "scan", "image": "grype", **more})


def every() -> list[Finding]:
    return [Finding(f"CVE-{severity}", severity, "libfoo", "1") for severity in SEVERITIES]


@pytest.mark.parametrize("least", SEVERITIES)
def test_a_severity_fails_with_all_that_are_worse(least):
    verdict = judge(check(failOn=least), every(), TODAY)
    for severity in SEVERITIES:
        is_bad = SEVERITIES.index(severity) >= SEVERITIES.index(least)
        assert (f"1 {severity}" in verdict.problem) is is_bad


def test_high_fails_where_nothing_is_told():
    assert judge(check(), [Finding("X", "medium")], TODAY).problem == ""
    assert judge(check(), [Finding("X", "high")], TODAY).problem != ""


def test_the_worst_few_are_named_first():
    found = [Finding(f"CVE-{n}", "high") for n in range(9)] + [Finding("CVE-worst", "critical")]
    problem = judge(check(), found, TODAY).problem
    assert problem.startswith("vulnerabilities found: 1 critical, 9 high: CVE-worst (critical); CVE-0 (high)")
    assert problem.endswith("and 5 more")


def test_an_entry_counts_until_the_end_of_its_day():
    found = [Finding("CVE-1", "critical")]
    valid = judge(check(ignore=[{"id": "CVE-1", "expires": "2026-11-29"}]), found, TODAY)
    assert (valid.problem, valid.warnings, valid.counts.ignored) == ("", (), 1)
    over = judge(check(ignore=[{"id": "CVE-1", "expires": "2026-11-28"}]), found, TODAY)
    assert over.problem != ""
    assert over.warnings == ("the check cves ignores CVE-1 no more: that ended on 2026-11-28",)


def test_a_finding_is_ignored_by_another_name_of_it():
    found = [Finding("GHSA-1", "critical", also=frozenset({"CVE-1"}))]
    assert judge(check(ignore=[{"id": "CVE-1"}]), found, TODAY).problem == ""


def test_an_entry_that_matches_nothing_is_told():
    [warning] = judge(check(ignore=[{"id": "CVE-9"}]), [], TODAY).warnings
    assert "CVE-9, which was not found" in warning


@pytest.mark.parametrize("day", ["2026-02-30", "2026-1-1", "tomorrow", "20270131", "2027-W01-1"])
def test_a_day_that_is_none_is_refused(day):
    with pytest.raises(ValueError, match="expires"):
        check(ignore=[{"id": "CVE-1", "expires": day}])
