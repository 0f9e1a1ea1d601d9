"""What a person does next, by the reason of a failure. The long form is in docs/imagebuild.md, "Reasons"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strake_api.reasons import FailureReason as R

ADVICE: Final[Mapping[R, str]] = {
    R.SOURCE_FETCH_FAILED: "check spec.source, and the Secret of a private repository",
    R.BASE_IMAGE_PULL_FAILED: "check the name in FROM; a private registry needs spec.pullSecret",
    R.DOCKERFILE_INVALID: "mend the Dockerfile at that line",
    R.STEP_FAILED: "see the instruction: often a COPY of what is not in the context, or in .dockerignore",
    R.RUN_STEP_FAILED: "see the end of the command's output, and the log",
    R.PUSH_UNAUTHORIZED: "set or mend spec.pushSecret; for a cloud's registry spec.serviceAccountName",
    R.PUSH_FAILED: "see the registry's words in the message",
    R.SIGNING_FAILED: "check spec.output.sign: a Secret's key and password, or who may sign with a KMS's key",
    R.IMAGE_TEST_FAILED: "see the end of the test's output; the image is there by its digest",
    R.VULNERABILITIES_FOUND: "update what has a fix, or ignore a finding in spec.verify, with a date",
    R.VERIFICATION_FAILED: "see the message: the check's image, its network and what it wrote",
    R.TIMED_OUT: "raise spec.timeout, or see in the log where the time went",
    R.QUEUE_TIMEOUT: "raise spec.queueTimeout or spec.priority, or ask the platform team for a higher limit",
    R.OUT_OF_MEMORY: "raise spec.resources.limits.memory",
    R.OUT_OF_DISK: "raise spec.resources.limits.ephemeral-storage, or build less at a time",
    R.EVICTED: "run it again; higher spec.resources.requests keep it on its node",
    R.CANCELLED: "run it again when it is wanted",
    R.SUPERSEDED: "see the newer run",
    R.POLICY_DENIED: "change what the message names, or ask the platform team",
    R.SECRET_NOT_FOUND: "create the Secret, then run it again",
    R.SERVICE_ACCOUNT_NOT_FOUND: "create the ServiceAccount, then run it again",
    R.RUNTIME_CLASS_NOT_FOUND: "name one that `kubectl get runtimeclass` lists",
    R.INVALID_REQUEST: "change what the message names",
    R.UNSUPPORTED: "see the message; the platform team knows the nodes",
    R.ISOLATION_UNAVAILABLE: "ask the platform team: the node refuses the isolation that is demanded",
    R.INTERNAL_ERROR: "report it, with the message and the log",
}


def advice(reason: str) -> str:
    """Return what to do about a failure; empty for a reason of another version."""
    try:
        return ADVICE[R(reason)]
    except ValueError:
        return ""
