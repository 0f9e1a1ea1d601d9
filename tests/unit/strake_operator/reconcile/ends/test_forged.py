"""What a step wrote in place of the builder's result: read within bounds, and believed by nobody."""

from __future__ import annotations

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.reconcile.ends.outcome import outcome
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import FAILURE, SPEC, SUCCESS, ended, pod, run

DEEP = '{"a":' * 10_000 + "1" + "}" * 10_000
FORGED = {
    "deep": DEEP,
    "deep lists": "[" * 10_000,
    "deep in a field": SUCCESS.to_json()[:-1] + ',"warnings":' + "[" * 1_500 + "]" * 1_500 + "}",
    "huge number": FAILURE.to_json().replace('"line":3', f'"line":{"9" * 300}'),
    "negative number": FAILURE.to_json().replace('"line":3', '"line":-3'),
    "number beyond any database's": FAILURE.to_json().replace('"exitCode":2', f'"exitCode":{2**63}'),
    "no number": FAILURE.to_json().replace('"line":3', '"line":NaN'),
    "half a character": FAILURE.to_json().replace("RUN make", "\\ud800"),
    "long platform": SUCCESS.to_json().replace("linux/amd64", "x" * 3000),
    "unknown reason": FAILURE.to_json().replace("RunStepFailed", "Nobody"),
    "too long": FAILURE.model_copy(update={"message": "x" * 9000}).to_json(),
}


@pytest.mark.parametrize("message", FORGED.values(), ids=FORGED)
def test_a_forged_result_is_none(message):
    result = instance(outcome(run(pod=pod(ended(message, exit_code=1))), SPEC), BuildFailed)
    assert result.reason is FailureReason.INTERNAL_ERROR
    assert len(result.to_json()) < 3 * 4096


def test_what_a_terminal_would_obey_is_shown():
    words = FAILURE.model_copy(update={"message": "\x1b[2J", "instruction": "\x1b]0;x\x07"}).to_json()
    assert "\x1b" not in present(outcome(run(pod=pod(ended(words))), SPEC)).to_json()
