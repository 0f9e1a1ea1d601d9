"""Reads what a scanner found: the documents that grype and trivy write, and SARIF, which both write.

A scanner is a program from elsewhere over files that may be hostile, so its document is data: bounded in
size and number, and only a few short texts of it are used. Sources of the forms: grype, JSON output
("matches"); trivy, JSON report ("Results", "Vulnerabilities"); OASIS SARIF 2.1.0, with GitHub's property
"security-severity", a CVSS score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final, Never

from strake_api.models.verification import SEVERITIES, Severity
from strake_builder.errors import VerificationError
from strake_oci.lazy_dataclass import dataclass

MAX_FINDINGS: Final = 32 << 20
"""Bytes of a document. What grype tells of 5,000 matches has about 15 MiB."""
MOST: Final = 50_000
"""Findings of a document."""
_SHOWN: Final = 128
"""Characters of a text that a finding keeps."""
_HINT: Final = (
    "have the scanner write JSON or SARIF to $STRAKE_VERIFY_RESULT: grype -o json --file FILE, "
    "trivy --format json --output FILE"
)
_OF_SCORES: Final[tuple[tuple[float, Severity], ...]] = (
    (9.0, "critical"),
    (7.0, "high"),
    (4.0, "medium"),
    (0.1, "low"),
)
"""Source: CVSS v3.1 specification, "Qualitative Severity Rating Scale"."""
_OF_LEVELS: Final[dict[str, Severity]] = {"error": "high", "warning": "medium", "note": "low"}
"""For SARIF without a score; trivy writes its severities so."""
_DEFAULT_LEVEL: Final = "warning"
"""Source: SARIF 2.1.0, section 3.27.10."""
_HIGHEST_SCORE: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability in a package.

    Attributes:
        id: of the vulnerability, as CVE-2026-1234.
        severity: how bad it is.
        package: its name, or what the scanner calls it; empty where it is not told.
        version: of the package that is in the image.
        fixed: in which version it is fixed; empty where in none.
        also: other names of the vulnerability.
    """

    id: str
    severity: Severity
    package: str = ""
    version: str = ""
    fixed: str = ""
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return it for people: CVE-2026-1234 (high) in openssl 3.0.1, fixed in 3.0.2."""
        package = f" in {self.package} {self.version}".rstrip() if self.package else ""
        return f"{self.id} ({self.severity}){package}" + (f", fixed in {self.fixed}" if self.fixed else "")


def read_findings(content: bytes, check: str) -> tuple[Finding, ...]:
    """Return what a document tells, each finding once.

    Args:
        content: of at most `MAX_FINDINGS` bytes.
        check: the name of the check, for messages.

    Raises:
        VerificationError: it is no document of a known form, or has too many findings.
    """
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise refused(check, "what the scanner wrote is no JSON") from error
    found: dict[Finding, None] = {}
    try:
        for number, finding in enumerate(_of(document)):
            if number >= MOST:
                raise refused(check, f"the scanner wrote more than {MOST} findings")
            found[finding] = None
    except _FormError as error:
        raise refused(check, f"what the scanner wrote is not understood: {error}") from error
    return tuple(found)


def refused(check: str, problem: str) -> VerificationError:
    """Return the error of a check whose scanner did not do its part."""
    return VerificationError(f"the check {check} could not be made: {problem}", hint=_HINT)


class _FormError(Exception):
    """The document is not as its form has it."""


def _of(document: object) -> Iterator[Finding]:
    if isinstance(document, dict):
        if "matches" in document:
            return _of_grype(document)
        if "SchemaVersion" in document:
            return _of_trivy(document)
        if "runs" in document:
            return _of_sarif(document)
    raise _FormError("it is neither grype's JSON, nor trivy's, nor SARIF")


def _of_grype(document: dict[str, Any]) -> Iterator[Finding]:
    for match in _objects(document, "matches", required=True):
        vulnerability, artifact = _object(match, "vulnerability"), _object(match, "artifact")
        fix = _object(vulnerability, "fix", optional=True)
        related = _objects(match, "relatedVulnerabilities")
        yield Finding(
            _identifier(vulnerability, "id"),
            _severity(_text(vulnerability, "severity")),
            _text(artifact, "name"),
            _text(artifact, "version"),
            ", ".join(_short(each) for each in _list(fix, "versions")[:3] if isinstance(each, str)),
            frozenset(_text(each, "id") for each in related[:16]) - {""},
        )


def _of_trivy(document: dict[str, Any]) -> Iterator[Finding]:
    for result in _objects(document, "Results"):
        for each in _objects(result, "Vulnerabilities"):
            yield Finding(
                _identifier(each, "VulnerabilityID"),
                _severity(_text(each, "Severity")),
                _text(each, "PkgName"),
                _text(each, "InstalledVersion"),
                _text(each, "FixedVersion"),
            )


def _of_sarif(document: dict[str, Any]) -> Iterator[Finding]:
    runs = _objects(document, "runs", required=True)
    if not runs:
        raise _FormError("runs is empty")
    for run in runs:
        driver = _object(_object(run, "tool"), "driver")
        rules = {_text(rule, "id"): rule for rule in _objects(driver, "rules")}
        # Without results a run did not analyse anything (SARIF 2.1.0, section 3.14.23).
        for result in _objects(run, "results", required=True):
            identifier = _identifier(result, "ruleId")
            rule = rules.get(identifier, {})
            yield Finding(identifier, _sarif_severity(rule, result), also=_vulnerability(identifier, rule))


def _vulnerability(identifier: str, rule: dict[str, Any]) -> frozenset[str]:
    """Return the vulnerability that a rule of grype is of: CVE-2026-1234 of CVE-2026-1234-openssl.

    Only the beginning of the rule's ID counts: a description may name other vulnerabilities, which an ignore
    list must not take for this one.
    """
    words = _text(_object(rule, "shortDescription", optional=True), "text").split(maxsplit=1)
    return frozenset(word for word in words[:1] if identifier.startswith(f"{word}-"))


def _sarif_severity(rule: dict[str, Any], result: dict[str, Any]) -> Severity:
    score = _object(rule, "properties", optional=True).get("security-severity")
    try:
        number = float(score)  # type: ignore[arg-type] # whatever is no number is refused by it
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if 0 <= number <= _HIGHEST_SCORE:
        return next((name for least, name in _OF_SCORES if number >= least), "unknown")
    configuration = _object(rule, "defaultConfiguration", optional=True)
    level = _text(result, "level") or _text(configuration, "level") or _DEFAULT_LEVEL
    return _OF_LEVELS.get(level, "unknown")


def _severity(text: str) -> Severity:
    lowered = text.lower()
    return next((each for each in SEVERITIES if each == lowered), "unknown")


def _identifier(parent: dict[str, Any], name: str) -> str:
    text = _text(parent, name)
    if not text:
        raise _FormError(f"a finding has no {name}")
    return text


def _text(parent: dict[str, Any], name: str) -> str:
    value = parent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _FormError(f"{name} is no text")
    return _short(value)


def _short(text: str) -> str:
    """Return a text that any document can hold: JSON may have half of a surrogate pair."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _object(parent: dict[str, Any], name: str, *, optional: bool = False) -> dict[str, Any]:
    value = parent.get(name)
    if value is None and optional:
        return {}
    if not isinstance(value, dict):
        raise _FormError(f"{name} is no object")
    return value


def _list(parent: dict[str, Any], name: str, *, required: bool = False) -> list[Any]:
    value = parent.get(name)
    if value is None and not required:
        return []
    if not isinstance(value, list):
        raise _FormError(f"{name} is no list")
    return value


def _objects(parent: dict[str, Any], name: str, *, required: bool = False) -> list[dict[str, Any]]:
    values = _list(parent, name, required=required)
    if not all(isinstance(each, dict) for each in values):
        raise _FormError(f"{name} has something else than objects")
    return values


def _refuse_constant(text: str) -> Never:
    raise ValueError(f"{text} is no JSON")
