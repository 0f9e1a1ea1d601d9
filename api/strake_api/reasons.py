"""Why a build is where it is: closed lists that machines can switch on.

The reasons appear on an ImageBuild's conditions, in its `status.failure` and in a BuildResult.
A value is part of the API: once released it is never renamed and never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class ProgressReason(StrEnum):
    """Where a build that has not failed stands."""

    QUEUED = "Queued"
    """It waits for its turn."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The namespace's ResourceQuota has no room for the builder pod; the operator tries again."""
    CLUSTER_UNAVAILABLE = "ClusterUnavailable"
    """The API server or a webhook of it fails; the operator tries again."""
    SUSPENDED = "Suspended"
    """`spec.suspend` keeps it from starting, or its Job is suspended by an external queue."""
    POD_PENDING = "PodPending"
    """The builder pod exists and does not run yet."""
    FETCHING_SOURCE = "FetchingSource"
    """The builder fetches the build context."""
    PULLING_BASE = "PullingBase"
    """The builder resolves and pulls base images."""
    BUILDING = "Building"
    """The builder runs the Dockerfile's instructions."""
    PUSHING = "Pushing"
    """The last steps are done; layers and manifest go to the registry."""
    PUSHED = "Pushed"
    """The image is at every destination."""


@unique
class FailureReason(StrEnum):
    """Why a build failed."""

    SOURCE_FETCH_FAILED = "SourceFetchFailed"
    """The build context cannot be fetched or read."""
    BASE_IMAGE_PULL_FAILED = "BaseImagePullFailed"
    """A base image does not exist, is refused or cannot be read."""
    DOCKERFILE_INVALID = "DockerfileInvalid"
    """The Dockerfile is missing, has a mistake or uses what is not supported."""
    STEP_FAILED = "StepFailed"
    """An instruction other than RUN failed, for example a COPY of a file that does not exist."""
    RUN_STEP_FAILED = "RunStepFailed"
    """The command of a RUN instruction ended with a status other than zero."""
    PUSH_UNAUTHORIZED = "PushUnauthorized"
    """A registry refused the push because of its credentials."""
    PUSH_FAILED = "PushFailed"
    """A registry refused or lost the push for another reason."""
    SIGNING_FAILED = "SigningFailed"
    """The key that is to sign cannot be used, or the registry takes no signature; no tag moved."""
    IMAGE_TEST_FAILED = "ImageTestFailed"
    """A test of `spec.verify` failed; the image is pushed by digest, and no tag moved."""
    VULNERABILITIES_FOUND = "VulnerabilitiesFound"
    """A scan of `spec.verify` found what it must not; the image is pushed by digest, and no tag moved."""
    VERIFICATION_FAILED = "VerificationFailed"
    """A check of `spec.verify` could not be made, or a scanner wrote no findings; no tag moved."""
    TIMED_OUT = "TimedOut"
    """The build took longer than `spec.timeout`."""
    QUEUE_TIMEOUT = "QueueTimeout"
    """The run waited longer than `spec.queueTimeout`, and never started."""
    OUT_OF_MEMORY = "OutOfMemory"
    """The kernel killed the build at its memory limit."""
    OUT_OF_DISK = "OutOfDisk"
    """The work directory is full."""
    EVICTED = "Evicted"
    """The node gave the builder pod up: pressure, drain or preemption."""
    CANCELLED = "Cancelled"
    """Somebody stopped the build."""
    SUPERSEDED = "Superseded"
    """A changed spec, or a rerun, took the place of a run that went on."""
    POLICY_DENIED = "PolicyDenied"
    """The platform's rules forbid this build."""
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    """A Secret that the spec or the platform's settings name does not exist or has the wrong type."""
    SERVICE_ACCOUNT_NOT_FOUND = "ServiceAccountNotFound"
    """The ServiceAccount that the spec names does not exist."""
    RUNTIME_CLASS_NOT_FOUND = "RuntimeClassNotFound"
    """The RuntimeClass that the spec or the platform's settings name does not exist."""
    INVALID_REQUEST = "InvalidRequest"
    """The spec contradicts itself in a way that only shows while building."""
    UNSUPPORTED = "Unsupported"
    """The node lacks what the build needs, for example user namespaces."""
    ISOLATION_UNAVAILABLE = "IsolationUnavailable"
    """The way of isolation that was asked for cannot be had on this node."""
    INTERNAL_ERROR = "InternalError"
    """Strake itself failed: worth a report."""


RETRYABLE: frozenset[FailureReason] = frozenset({FailureReason.EVICTED})
"""Failures of the infrastructure: the same build may succeed when it runs again."""
