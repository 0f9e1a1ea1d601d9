"""BuildResult: read back what was written, and fit whatever happened into a termination message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.models.verification import CheckResult
from strake_api.reasons import FailureReason
from strake_api.result import (
    TERMINATION_MESSAGE_LIMIT,
    BaseImage,
    BuildFailed,
    BuildSucceeded,
    BuildWarning,
    ResolvedSource,
    fit_result,
    parse_result,
)
from tests.fixtures.narrow import instance

DIGEST = "sha256:" + "a" * 64
TEXT = st.text(max_size=3000)


def success(**changes) -> BuildSucceeded:
    return BuildSucceeded(digest=DIGEST, config_digest=DIGEST, images=(f"r/a@{DIGEST}",), **changes)


def test_a_result_that_fits_is_whole():
    result = success(warnings=(BuildWarning(message="w", line=3),))
    assert parse_result(fit_result(result)) == result


def test_the_log_loses_its_oldest_lines_first():
    lines = tuple(f"line {n} " + "x" * 100 for n in range(200))
    failure = BuildFailed(
        reason=FailureReason.RUN_STEP_FAILED, message="m", exit_code=2, line=7, log_tail=lines
    )
    cut = instance(parse_result(fit_result(failure)), BuildFailed)
    assert cut.truncated
    assert cut.log_tail == lines[-len(cut.log_tail) :]
    assert len(cut.log_tail) > 20
    assert (
        cut.message,
        cut.exit_code,
        cut.line,
    ) == ("m", 2, 7)


def test_a_success_never_loses_its_digest():
    result = BuildSucceeded(
        digest=DIGEST,
        config_digest=DIGEST,
        images=tuple(f"registry.example/{'x' * 200}/{n}@{DIGEST}" for n in range(16)),
        base_images=tuple(BaseImage(reference="b" * 300, digest=DIGEST) for _ in range(40)),
        warnings=tuple(BuildWarning(message="w" * 500) for _ in range(40)),
    )
    encoded = fit_result(result)
    assert len(encoded) <= TERMINATION_MESSAGE_LIMIT
    assert instance(parse_result(encoded), BuildSucceeded).digest == DIGEST


@given(message=TEXT, log=st.lists(TEXT, max_size=30), instruction=TEXT, warning=TEXT)
def test_every_failure_fits(message, log, instruction, warning):
    failure = BuildFailed(
        reason=FailureReason.RUN_STEP_FAILED,
        message=message,
        instruction=instruction,
        log_tail=tuple(log),
        warnings=(BuildWarning(message=warning),),
        base_images=(BaseImage(reference="debian:12", digest=DIGEST),),
    )
    encoded = fit_result(failure)
    assert len(encoded) <= TERMINATION_MESSAGE_LIMIT
    assert instance(parse_result(encoded), BuildFailed).reason is FailureReason.RUN_STEP_FAILED
    assert parse_result(encoded).base_images[0].digest == DIGEST


def test_of_many_checks_the_outcomes_stay_longer_than_the_words():
    checks = tuple(
        CheckResult(name=f"check-{n}", kind="scan", outcome="Failed", message="m" * 1000) for n in range(8)
    )
    failure = BuildFailed(
        reason=FailureReason.VULNERABILITIES_FOUND, message="m", digest=DIGEST, verification=checks
    )
    cut = instance(parse_result(fit_result(failure)), BuildFailed)
    assert [each.name for each in cut.verification] == [f"check-{n}" for n in range(8)]
    assert (cut.digest, cut.message) == (DIGEST, "m")


def test_sources_lose_their_names_and_nothing_else():
    """What they were resolved to is what builds are pinned to; their order tells which is which."""
    resolved = [ResolvedSource(name="n" * 255, digest=f"sha512:{'a' * 128}") for _ in range(16)]
    sources = (ResolvedSource(revision="b" * 40), *resolved)

    fitted = instance(parse_result(fit_result(BuildSucceeded(sources=sources))), BuildSucceeded)

    assert [each.revision or each.digest for each in fitted.sources] == [
        each.revision or each.digest for each in sources
    ]
    assert fitted.truncated


def test_a_hopeless_limit_is_an_error():
    with pytest.raises(ValueError, match="10 bytes"):
        fit_result(success(), limit=10)


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"outcome":"Perhaps"}', "[]"])
def test_what_is_no_result_is_an_error(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_result(text)
