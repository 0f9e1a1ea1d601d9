"""Runs the checks of an image: after its last step and its push by digest, before a tag moves.

Each runs over layers that are unpacked, in the sandbox that RUN has, and what it writes is thrown away. Every
check runs though an earlier one failed: people want to know all that is wrong. No result is cached: the
databases of scanners change, and what a test with a network finds does, too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from strake_api.models.verification import CheckResult, FindingCounts, RequiredCheck
from strake_api.result import shorten
from strake_builder.attestations.facts import FoundSBOM
from strake_builder.errors import (
    BuildError,
    ImageTestError,
    RunStepError,
    VerificationError,
    VulnerabilitiesError,
)
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.frontend.model.steps import RunStep
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.images.layers import ImageLayer
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.planning import checks as check_steps
from strake_builder.solve.planning.checks import PreparedCheck
from strake_builder.solve.stage import StageTools
from strake_builder.solve.verifying.findings import MAX_FINDINGS, read_findings, refused
from strake_builder.solve.verifying.judging import judge
from strake_builder.unforeseen import from_os_error
from strake_oci.attestations import SPDX
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform
from strake_oci.spec.platform import host as host_platform

_MESSAGE: Final = 1000
"""Characters of a check's message that a result keeps."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The image that checks are of.

    Attributes:
        plan: of its build.
        result: of its target stage.
        config: its config.
        platform: what it is for.
        digest: None where no image is made.
        pushed: `repository@digest`, where it is pushed.
        sboms: of it, if one is made.
        is_one_of_several: whether it is for an index.
    """

    plan: BuildPlan
    result: StageResult
    config: RuntimeConfig
    platform: Platform
    digest: Digest | None
    pushed: tuple[str, ...]
    sboms: tuple[FoundSBOM, ...]
    is_one_of_several: bool


class Verification:
    """Runs checks.

    Args:
        checks: what to run.
        tools: run steps.
        image: what is checked.
        first: the number of the first check among the steps that progress shows.
    """

    def __init__(
        self, checks: Sequence[PreparedCheck], tools: StageTools, image: Verified, first: int
    ) -> None:
        self._checks = checks
        self._tools = tools
        self._image = image
        self._first = first

    def run(self) -> tuple[CheckResult, ...]:
        """Run every check, one after the other.

        Raises:
            BuildError: one failed that does not only warn, or the build was stopped.
        """
        results, failures = [], []
        for number, prepared in enumerate(self._checks, self._first):
            self._tools.cancellation.check()
            outcome = self._outcome(number, prepared)
            results.append(outcome.result)
            if outcome.error is not None and outcome.result.outcome == "Failed":
                failures.append(outcome.error)
            elif outcome.error is not None:
                self._tools.reporter.warn(outcome.error.message)
        if failures:
            raise self._whole(failures, tuple(results))
        return tuple(results)

    def _whole(
        self, failures: Sequence[VerificationError], results: tuple[CheckResult, ...]
    ) -> VerificationError:
        """Return the first failure, with what else is to be told."""
        error = failures[0]
        if len(failures) > 1:
            others = [each.name for each in results if each.outcome == "Failed"][1:]
            error.message += f"; so did: {', '.join(others)}"
        if self._image.pushed:
            there = f"no tag moved; the image is there to be inspected: {self._image.pushed[0]}"
            error.hint = f"{error.hint}; {there}" if error.hint else there
            error.digest = str(self._image.digest)
        error.verification = results
        return error

    def _outcome(self, number: int, prepared: PreparedCheck) -> _Outcome:
        check = prepared.check
        counts: FindingCounts | None = None
        error: VerificationError | None = None
        origin = check_steps.origin_of(prepared, self._image.plan)
        reporter, started = self._tools.reporter, time.monotonic()
        reporter.step_started(number, origin.span.first, origin.text, "verify")
        try:
            counts = self._carry_out(number, prepared)
        except VerificationError as failure:
            error, counts = failure, failure.counts if isinstance(failure, _FoundError) else None
        except BuildError as failure:
            reporter.step_failed(number, time.monotonic() - started, failure.exit_code)
            self._tools.cancellation.check()
            failure.message = f"the check {prepared.name}: {failure.message}"
            raise
        if error is None:
            reporter.step_finished(number, time.monotonic() - started)
        else:
            reporter.step_failed(number, time.monotonic() - started, error.exit_code)
            self._tools.cancellation.check()  # one that was killed with the build is not the culprit
        failed = "Warned" if check.warn_only else "Failed"
        result = CheckResult(
            platform=str(self._image.platform) if self._image.is_one_of_several else None,
            name=check.name,
            policy=check.policy if isinstance(check, RequiredCheck) else None,
            kind=check.kind,
            outcome="Passed" if error is None else failed,
            message=None if error is None else shorten(error.message, _MESSAGE),
            findings=counts,
        )
        return _Outcome(result, error)

    def _carry_out(self, number: int, prepared: PreparedCheck) -> FindingCounts | None:
        """Run a check's program; return what a scan found.

        Raises:
            VerificationError: the check failed, or could not be made.
        """
        image, tool = self._image, prepared.tool
        step = check_steps.run_step(prepared, image.plan, image.config, self._told(prepared))
        layers: tuple[ImageLayer, ...] = image.result.layers if tool is None else tool.layers
        platform = image.platform if tool is None else host_platform()
        store, workspace = self._tools.store, self._tools.workspace
        try:
            name = workspace.new_name("check")
            with workspace.roots.mounted(store.directories(layers), name) as snapshot:
                failure = self._execute(number, prepared, step, platform, snapshot.root)
                if prepared.check.kind == "scan":
                    return self._findings(prepared, snapshot.root, failure)
        except OSError as error:
            what = f"the check {prepared.name} cannot be made"
            raise from_os_error(error, what, VerificationError) from error
        if failure is not None:
            raise ImageTestError(
                f"the test {prepared.name} failed: {failure.message}",
                hint=failure.hint,
                exit_code=failure.exit_code,
                log_tail=failure.log_tail,
            ) from failure
        return None

    def _execute(
        self, number: int, prepared: PreparedCheck, step: RunStep, platform: Platform, root: str
    ) -> RunStepError | None:
        """Run a check's program over a root; return how it failed, if it did."""
        execute = self._tools.steps.execute
        if prepared.tool is not None:
            execute(check_steps.results_step(step), number, platform, root)
            if (sbom := self._sbom()) is not None:
                execute(check_steps.sbom_step(step, sbom), number, platform, root)
        try:
            execute(step, number, platform, root)
        except RunStepError as error:
            return error
        return None

    def _findings(self, prepared: PreparedCheck, root: str, failure: RunStepError | None) -> FindingCounts:
        """Return what a scanner wrote, if it may pass.

        A scanner that is told to fail on findings does so. One that failed and found nothing did not scan.
        """
        try:
            with Root(root) as inside:
                content = inside.read_file(os.fsencode(check_steps.RESULT), MAX_FINDINGS)
        except PathError as error:
            limit = f"the scanner wrote more than {MAX_FINDINGS >> 20} MiB"
            raise refused(prepared.name, limit) from error
        found = () if content is None else read_findings(content, prepared.name)
        if failure is not None and not found:
            raise VerificationError(
                f"the check {prepared.name} could not be made: {failure.message}",
                hint=failure.hint or "its output tells why: is its database there, and a network to get one?",
                exit_code=failure.exit_code,
                log_tail=failure.log_tail,
            ) from failure
        if content is None:
            raise refused(prepared.name, f"the scanner wrote no file {check_steps.RESULT}")
        verdict = judge(prepared.check, found, datetime.now(UTC).date())
        for warning in verdict.warnings:
            self._tools.reporter.warn(warning)
        if verdict.problem:
            raise _FoundError(prepared.name, verdict.problem, verdict.counts)
        return verdict.counts

    def _sbom(self) -> str | None:
        found = sorted(self._image.sboms, key=lambda each: each.predicate_type != SPDX)
        return json.dumps(found[0].predicate) if found else None

    def _told(self, prepared: PreparedCheck) -> dict[str, str]:
        image = self._image
        told = {"STRAKE_VERIFY_PLATFORM": str(image.platform)}
        if image.digest is not None:
            told["STRAKE_VERIFY_DIGEST"] = str(image.digest)
        if image.pushed:
            told["STRAKE_VERIFY_IMAGE"] = image.pushed[0]
        if prepared.tool is not None:
            told["STRAKE_VERIFY_ROOT"] = check_steps.ROOT
            told["STRAKE_VERIFY_RESULT"] = check_steps.RESULT
            if image.sboms:
                told["STRAKE_VERIFY_SBOM"] = check_steps.SBOM
        return told


@dataclass(frozen=True, slots=True)
class _Outcome:
    result: CheckResult
    error: VerificationError | None


class _FoundError(VulnerabilitiesError):
    """A scan that found too much, with how much."""

    def __init__(self, check: str, problem: str, counts: FindingCounts) -> None:
        hint = "update what has a fix, or ignore a finding in the check, with a date and a reason"
        super().__init__(f"the scan {check} failed: {problem}", hint=hint)
        self.counts = counts
