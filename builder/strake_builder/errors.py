"""Everything that the builder tells a person went wrong, in one tree.

    BuildError                   reason          exit status
    ├── InvalidRequestError      InvalidRequest        2   the manifest or the flags contradict themselves
    ├── DockerfileError          DockerfileInvalid     3   the Dockerfile is refused (see frontend.errors)
    ├── SourceError              SourceFetchFailed     4   the context cannot be fetched or read
    ├── BaseImageError           BaseImagePullFailed   5   a base image cannot be resolved, pulled or unpacked
    │   ├── ForbiddenImageError  PolicyDenied          5   … because the platform's policy forbids it
    │   └── LayerError           (layers.errors)
    ├── StepError                StepFailed            6   an instruction failed while it ran
    │   ├── PathError            (rootfs.errors)
    │   └── RunStepError         RunStepFailed         7   a RUN command ended with another status than zero
    ├── OutputError              PushFailed            8   the image cannot be written or pushed
    │   ├── PushUnauthorizedError PushUnauthorized     9   … because of its credentials
    │   └── SigningError         SigningFailed        14   it cannot be signed, or has no signature of a key
    ├── VerificationError        VerificationFailed   16   a check of the image could not be made
    │   ├── ImageTestError       ImageTestFailed      17   a test of the image failed
    │   └── VulnerabilitiesError VulnerabilitiesFound 18   a scan found what it must not
    ├── BuildTimeoutError        TimedOut             10   the build's time limit passed
    ├── OutOfDiskError           OutOfDisk            11   the work directory is full
    ├── OutOfMemoryError         OutOfMemory          12   the kernel killed a step at the memory limit
    ├── UnsupportedError         Unsupported          13   this machine lacks what the build needs
    │   └── IsolationError       IsolationUnavailable 13   … the isolation that was asked for
    ├── BuildCancelledError      Cancelled           143   somebody asked the build to stop
    └── InternalError            InternalError         1   Strake itself is wrong

Only the command line turns one of these into an exit status. The reasons are those that the
ImageBuild's status shows (`strake_api.reasons`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from strake_api.reasons import FailureReason
from strake_api.text import coloured, visible
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_api.models.verification import CheckResult

_INSTRUCTION_SHOWN: Final = 160
_TAIL_SHOWN: Final = 20
_URL_USER: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def redact(text: str) -> str:
    """Return a text whose URLs carry no user and password any more."""
    return _URL_USER.sub("***", text)


@dataclass(frozen=True, slots=True)
class Location:
    """Where in a Dockerfile something failed.

    Attributes:
        file: path as the user named it.
        line: 1-based line where the instruction starts.
        instruction: the instruction as written, on one line.
    """

    file: str
    line: int
    instruction: str = ""


class BuildError(Exception):
    """A build ended without an image, for a reason that a person can act on.

    Args:
        message: what failed and why, a clause without a full stop.
        hint: what to try, a clause, or empty.
        location: where in the Dockerfile, when an instruction is to blame.
        exit_code: status of the command that failed; 128 plus the signal's number where a signal ended it.
        log_tail: the last lines that the command printed.

    Attributes:
        platform: for which the image could not be built; empty where it was the only one.
        digest: of the image that was pushed all the same, without a tag; empty where none was.
        verification: the checks of the image that ended.
    """

    reason: ClassVar[FailureReason] = FailureReason.INTERNAL_ERROR
    exit_status: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        location: Location | None = None,
        exit_code: int | None = None,
        log_tail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location
        self.exit_code = exit_code
        self.log_tail = log_tail
        self.platform = ""
        self.digest = ""
        self.verification: tuple[CheckResult, ...] = ()

    def __str__(self) -> str:
        return f"{self._shown} ({self.hint})" if self.hint else self._shown

    @property
    def _shown(self) -> str:
        return f"{self.platform}: {self.message}" if self.platform else self.message

    def for_terminal(self) -> str:
        """Return the error as a person reads it in a terminal: what, where, why, what to try.

        The end of the command's output comes before it.
        """
        lines = []
        where = ""
        if self.location:
            where = f"{self.location.file}:{self.location.line}: "
            if self.location.instruction:
                shown = self.location.instruction.splitlines()[0][:_INSTRUCTION_SHOWN]
                caret = "^" * len(shown.split(maxsplit=1)[0]) if shown.split() else ""
                lines += ["", f"  {self.location.line:>4} | {shown}", f"       | {caret}".rstrip()]
        lines.append(f"error: {where}{self._shown}")
        if self.hint:
            lines.append(f"  try: {self.hint}")
        shown = visible("\n".join(lines))
        if not self.log_tail:
            return shown
        tail = (f"  {coloured(line)}" for line in self.log_tail[-_TAIL_SHOWN:])
        return "\n".join(["", "the end of its output:", *tail, shown])


class InvalidRequestError(BuildError):
    """The manifest or the flags contradict themselves."""

    reason = FailureReason.INVALID_REQUEST
    exit_status = 2


class DockerfileError(BuildError):
    """The Dockerfile is refused before any work."""

    reason = FailureReason.DOCKERFILE_INVALID
    exit_status = 3


class SourceError(BuildError):
    """The context cannot be fetched or read."""

    reason = FailureReason.SOURCE_FETCH_FAILED
    exit_status = 4


class ForbiddenSourceError(SourceError):
    """A source policy denies what the build names."""

    reason = FailureReason.POLICY_DENIED


class BaseImageError(BuildError):
    """A base image cannot be resolved, pulled or unpacked."""

    reason = FailureReason.BASE_IMAGE_PULL_FAILED
    exit_status = 5


class ForbiddenImageError(BaseImageError):
    """The platform's policy forbids an image that the Dockerfile names."""

    reason = FailureReason.POLICY_DENIED


class StepError(BuildError):
    """An instruction failed while it ran."""

    reason = FailureReason.STEP_FAILED
    exit_status = 6


class RunStepError(StepError):
    """A RUN command ended with another status than zero."""

    reason = FailureReason.RUN_STEP_FAILED
    exit_status = 7


class DifferentImageError(BuildError):
    """What was rebuilt is another image."""

    reason = FailureReason.STEP_FAILED
    exit_status = 15


class OutputError(BuildError):
    """The image cannot be written or pushed."""

    reason = FailureReason.PUSH_FAILED
    exit_status = 8


class PushUnauthorizedError(OutputError):
    """A destination refused the credentials."""

    reason = FailureReason.PUSH_UNAUTHORIZED
    exit_status = 9


class SigningError(OutputError):
    """The image cannot be signed; to `strake verify`, it has no signature that a key made."""

    reason = FailureReason.SIGNING_FAILED
    exit_status = 14


class VerificationError(BuildError):
    """A check of the image could not be made."""

    reason = FailureReason.VERIFICATION_FAILED
    exit_status = 16


class ImageTestError(VerificationError):
    """A test of the image failed."""

    reason = FailureReason.IMAGE_TEST_FAILED
    exit_status = 17


class VulnerabilitiesError(VerificationError):
    """A scan of the image found what it must not."""

    reason = FailureReason.VULNERABILITIES_FOUND
    exit_status = 18


class BuildTimeoutError(BuildError):
    """The build's time limit passed."""

    reason = FailureReason.TIMED_OUT
    exit_status = 10


class OutOfDiskError(BuildError):
    """The work directory is full."""

    reason = FailureReason.OUT_OF_DISK
    exit_status = 11


class OutOfMemoryError(BuildError):
    """The kernel killed a step at the memory limit."""

    reason = FailureReason.OUT_OF_MEMORY
    exit_status = 12


class UnsupportedError(BuildError):
    """This machine lacks what the build needs."""

    reason = FailureReason.UNSUPPORTED
    exit_status = 13


class IsolationError(UnsupportedError):
    """The way of isolation that was asked for cannot be had here."""

    reason = FailureReason.ISOLATION_UNAVAILABLE


class BuildCancelledError(BuildError):
    """Somebody asked the build to stop."""

    reason = FailureReason.CANCELLED
    exit_status = 143


class InternalError(BuildError):
    """Strake itself is wrong: worth a report."""
