"""Checks of an image before its tags move, and how they ended.

An ImageBuild and a BuildRequest ask for them in the same words, so one model and its rules serve both. A
result and a status tell of them in the same words, too.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from strake_api.models.document import Document, ShownText, TolerantDocument
from strake_api.models.rule import Rule, a_set, cel_rules, checked, keyed, obeying

CheckKind = Literal["test", "scan"]
CheckNetwork = Literal["none", "default"]
Severity = Literal["unknown", "negligible", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("unknown", "negligible", "low", "medium", "high", "critical")
"""The least first."""
Outcome = Literal["Passed", "Failed", "Warned"]

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_SECRET_NAME = r"^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_])?$"  # noqa: S105 - a form of names
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
SCANNER_NAMED: Rule[Check] = Rule(
    "self.kind != 'scan' || has(self.image)",
    "a check of kind scan needs the scanner's image",
    lambda check: check.kind != "scan" or check.image is not None,
)
COMMAND_NAMED: Rule[Check] = Rule(
    "has(self.image) || (has(self.command) && self.command.size() > 0)",
    "a check that runs in the built image needs a command: the image's own is most often a server",
    lambda check: check.image is not None or bool(check.command),
)
FINDINGS_OF_SCANS: Rule[Check] = Rule(
    "self.kind == 'scan' || (!has(self.failOn) && (!has(self.ignore) || self.ignore.size() == 0))",
    "failOn and ignore are for a check of kind scan: a test has no findings",
    lambda check: check.kind == "scan" or (check.fail_on is None and not check.ignore),
)


def _real_date(text: str) -> str:
    date.fromisoformat(text)
    return text


def _written_date(value: object) -> object:
    """Return a date as its text: a YAML parser makes a date of what has no quotes."""
    return value.isoformat() if type(value) is date else value


def _no_null(text: str) -> str:
    if "\0" in text:
        raise ValueError("it contains a null character, which no program can be given")
    return text


Word = Annotated[str, Field(max_length=4096), AfterValidator(_no_null)]
Words = Annotated[tuple[Word, ...], Field(max_length=64)]
A_DATE: Rule[str] = Rule(
    f"self.matches('{_DATE}')",
    "expires is a date as 2027-01-31",
    lambda text: re.fullmatch(_DATE, text, re.ASCII) is not None,
)


class CheckVariable(Document):
    """An environment variable of a check. It is in the ImageBuild for all to read: never a secret."""

    name: Annotated[str, Field(pattern=_VARIABLE, max_length=256)]
    value: Word = ""


class IgnoredFinding(Document):
    """A vulnerability that is known and does not fail the check."""

    id: Annotated[str, Field(min_length=1, max_length=128)]
    """As the scanner calls it: CVE-2026-1234, GHSA-…"""
    expires: (
        Annotated[
            str,
            Field(max_length=10),
            *checked(A_DATE),
            AfterValidator(_real_date),
            BeforeValidator(_written_date),
        ]
        | None
    ) = None
    """The last day, in UTC, on which it is ignored, as 2027-01-31; ever where it is not given."""
    reason: Annotated[str, Field(max_length=1024)] | None = None
    """Why; for people."""


class Check(Document):
    """A program that checks the image before its tags move."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SCANNER_NAMED, COMMAND_NAMED, FINDINGS_OF_SCANS))

    name: Annotated[str, Field(pattern=_NAME, max_length=63)]
    """What messages and the status call it."""
    kind: CheckKind
    """test: the exit code tells whether the image is good. scan: a file with vulnerabilities does."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Of the tool, read with pullSecret. A test without one runs in the image that was built."""
    command: Words = ()
    """Instead of the entry point of the image; without a shell, and variables are not expanded."""
    args: Words = ()
    """Instead of the command of the image."""
    env: Annotated[
        tuple[CheckVariable, ...],
        *keyed("name", most=64),
    ] = ()
    """Environment variables besides those of the image."""
    secrets: Annotated[
        tuple[Annotated[str, Field(pattern=_SECRET_NAME, max_length=253)], ...],
        *a_set(most=16),
    ] = ()
    """Ids of spec.secrets that the check finds as /run/secrets/ID, which are in memory alone."""
    network: CheckNetwork = "none"
    """none, or default: the network that RUN has. In the isolation chroot none cannot be had."""
    fail_on: Severity | None = None
    """The least severity that fails a scan; high where it is not given."""
    ignore: Annotated[
        tuple[IgnoredFinding, ...],
        *keyed("id", most=256),
    ] = ()
    """Vulnerabilities that do not fail a scan."""
    warn_only: bool = False
    """A check that fails is a warning, and the tags move."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, SCANNER_NAMED, COMMAND_NAMED, FINDINGS_OF_SCANS)


class RequiredCheck(Check):
    """A check that the platform demands of the builds of a namespace."""

    policy: Annotated[str, Field(max_length=253)]
    """The BuildPolicy that does."""


Checks = Annotated[tuple[Check, ...], *keyed("name", most=8)]


class FindingCounts(TolerantDocument):
    """Vulnerabilities that a scan found and that are not ignored, by severity."""

    critical: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    high: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    medium: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    low: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    negligible: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    unknown: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    ignored: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Those that spec.verify ignores."""


class CheckResult(TolerantDocument):
    """How a check of the image ended."""

    platform: Annotated[ShownText, Field(max_length=128)] | None = None
    """Of the image, where it is one of several."""
    name: Annotated[ShownText, Field(max_length=128)]
    policy: Annotated[ShownText, Field(max_length=253)] | None = None
    """The BuildPolicy that demands it, where the spec does not."""
    kind: CheckKind
    outcome: Outcome
    """Passed, Failed, or Warned: it failed, and only warns."""
    message: Annotated[ShownText, Field(max_length=2048)] | None = None
    """Why it failed."""
    findings: FindingCounts | None = None
    """Of a scan."""
