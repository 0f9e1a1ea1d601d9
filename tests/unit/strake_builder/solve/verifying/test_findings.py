"""What scanners write: their three documents, and everything that is none of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.errors import VerificationError
from strake_builder.solve.verifying import findings as reading
from strake_builder.solve.verifying.findings import Finding, read_findings

GRYPE = {
    "matches": [
        {
            "vulnerability": {
                "id": "GHSA-1",
                "severity": "Critical",
                "fix": {"versions": ["1.2", "2.0"], "state": "fixed"},
            },
            "relatedVulnerabilities": [{"id": "CVE-2026-1"}],
            "artifact": {"name": "libfoo", "version": "1.1"},
        }
    ]
}
TRIVY = {
    "SchemaVersion": 2,
    "Results": [
        {"Target": "app", "Class": "secret"},
        {
            "Target": "debian",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2026-1",
                    "PkgName": "libfoo",
                    "InstalledVersion": "1.1",
                    "FixedVersion": "1.2",
                    "Severity": "MEDIUM",
                }
            ],
        },
    ],
}
SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "grype",
                    "rules": [
                        {
                            "id": "CVE-2026-1-libfoo",
                            "shortDescription": {"text": "CVE-2026-1 critical vulnerability for libfoo"},
                            "properties": {"security-severity": "9.8"},
                        },
                        {"id": "CVE-2026-2", "defaultConfiguration": {"level": "note"}},
                    ],
                }
            },
            "results": [
                {"ruleId": "CVE-2026-1-libfoo", "level": "error"},
                {"ruleId": "CVE-2026-2"},
                {"ruleId": "CVE-2026-3", "level": "warning"},
            ],
        }
    ],
}


def read(document: object) -> tuple[Finding, ...]:
    return read_findings(json.dumps(document).encode(), "cves")


def test_of_grype_a_finding_has_all_that_people_need():
    [found] = read(GRYPE)
    assert str(found) == "GHSA-1 (critical) in libfoo 1.1, fixed in 1.2, 2.0"
    assert found.also == {"CVE-2026-1"}, "an ignore list may have either name"


def test_of_trivy_classes_without_vulnerabilities_are_none():
    assert list(map(str, read(TRIVY))) == ["CVE-2026-1 (medium) in libfoo 1.1, fixed in 1.2"]


def test_sarif_has_scores_or_levels():
    found = read(SARIF)
    assert [(each.id, each.severity) for each in found] == [
        ("CVE-2026-1-libfoo", "critical"),
        ("CVE-2026-2", "low"),
        ("CVE-2026-3", "medium"),
    ]
    assert [each.also for each in found] == [{"CVE-2026-1"}, set(), set()]


@pytest.mark.parametrize(
    "title", ["CVE-2020-9999: the fix is incomplete", "openssl: incomplete fix for CVE-2020-9999"]
)
def test_a_vulnerability_that_a_description_names_is_not_the_one_found(title):
    rule = {"id": "CVE-2026-1", "shortDescription": {"text": title}, "properties": {"security-severity": "9"}}
    run = {"tool": {"driver": {"rules": [rule]}}, "results": [{"ruleId": "CVE-2026-1"}]}
    assert read({"runs": [run]}) == (Finding("CVE-2026-1", "critical"),)


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        ("10.0", "critical"),
        ("8.9", "high"),
        (4, "medium"),
        ("0.1", "low"),
        ("0", "unknown"),
        ("nan", "medium"),
        ("-1", "medium"),
        ("11", "medium"),
    ],
)
def test_scores_are_severities_as_cvss_has_them(score, severity):
    rule = {"id": "X", "properties": {"security-severity": score}}
    run = {"tool": {"driver": {"rules": [rule]}}, "results": [{"ruleId": "X"}]}
    assert [each.severity for each in read({"runs": [run]})] == [severity]


def test_one_finding_in_two_files_counts_once():
    assert len(read({"matches": GRYPE["matches"] * 2})) == 1


def test_a_severity_of_another_scanner_is_unknown():
    document = {"matches": [{"vulnerability": {"id": "X", "severity": "Severe"}, "artifact": {}}]}
    assert [each.severity for each in read(document)] == ["unknown"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        "matches",
        {},
        {"matches": {}},
        {"matches": None},
        {"runs": None},
        {"runs": []},
        {"runs": [{"tool": {"driver": {}}}]},
        {"runs": [{"tool": {"driver": {}}, "results": None}]},
        {"matches": [1]},
        {"matches": [{"artifact": {}}]},
        {"matches": [{"vulnerability": {"severity": "High"}, "artifact": {}}]},
        {"matches": [{"vulnerability": {"id": 7}, "artifact": {}}]},
        {"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{}]}]},
        {"runs": [{"results": []}]},
        {"runs": [{"tool": {"driver": {}}, "results": [{"message": {}}]}]},
    ],
)
def test_what_is_not_understood_is_never_an_image_without_findings(document):
    with pytest.raises(VerificationError, match="the check cves could not be made"):
        read(document)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 200_000, b'{"matches": [NaN]}', b"\xff\xfe", b"9" * 5000]
)
def test_what_is_no_json_is_refused_without_a_traceback(content):
    with pytest.raises(VerificationError):
        read_findings(content, "cves")


def test_half_of_a_surrogate_pair_does_not_break_who_tells_of_it():
    content = rb'{"matches": [{"vulnerability": {"id": "X\ud83d", "severity": "High"}, "artifact": {}}]}'
    [found] = read_findings(content, "cves")
    assert str(found).encode() == b"X? (high)"


def test_too_many_findings_are_refused(monkeypatch):
    monkeypatch.setattr(reading, "MOST", 1)
    with pytest.raises(VerificationError, match="more than 1 findings"):
        read({"matches": GRYPE["matches"] * 3})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMED = st.fixed_dictionaries(
    {},
    optional={
        name: JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "vulnerability": st.dictionaries(st.sampled_from(["id", "severity", "fix"]), JSON),
                    "artifact": JSON,
                    "Vulnerabilities": JSON,
                    "tool": JSON,
                    "results": JSON,
                },
            ),
            max_size=3,
        )
        for name in ("matches", "SchemaVersion", "Results", "runs")
    },
)


@given(NAMED | JSON)
def test_whatever_is_written_is_findings_of_bounded_texts_or_a_refusal(document):
    try:
        found = read(document)
    except VerificationError:
        return
    for each in found:
        assert each.id
        assert max(len(each.id), len(each.package), len(each.version)) <= 128
        assert len(str(each)) <= 1000
