"""One build as a command carries it out: progress, the result, the error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

from strake_api.events import Finished
from strake_api.reasons import FailureReason
from strake_api.requests.build import BuildRequest
from strake_api.result import BuildFailed, BuildSucceeded, BuildWarning, fit_result
from strake_api.result import Isolation as IsolationUsed
from strake_api.text import without_colours
from strake_builder.errors import BuildError
from strake_builder.gateway.errors import CLIENT_CERTIFICATE
from strake_builder.isolation.sandboxes import Confinement
from strake_builder.isolation.ways import Isolation
from strake_builder.progress.copied import CopiedStream
from strake_builder.progress.reporter import Reporter, Sink
from strake_builder.progress.style import LogStyle
from strake_builder.progress.text import JsonSink, LogSink, TextSink
from strake_builder.solve.build import Build
from strake_builder.solve.inputs import BuildInputs
from strake_builder.unforeseen import from_os_error, internal_error
from strake_oci.cancellation import Cancellation
from strake_oci.errors import ClientCertificateError, RegistryError, RejectedError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.retry import is_temporary

Prepare = Callable[[], tuple[BuildRequest, BuildInputs]]
"""Makes the request; its errors are reported like the build's."""


Work = Callable[[Reporter, Cancellation], BuildSucceeded]
"""What a command does: hears of a stop, says what happens, and returns the result or raises a BuildError."""


def building(prepare: Prepare, confinement: Confinement) -> Work:
    """Return the work of a command that builds.

    Args:
        prepare: makes the request.
        confinement: of its steps.
    """

    def work(reporter: Reporter, cancellation: Cancellation) -> BuildSucceeded:
        request, inputs = prepare()
        return Build(request, replace(inputs, confinement=confinement), reporter, cancellation).run()

    return work


def work_and_report(
    work: Work,
    isolation: Isolation | None,
    cancellation: Cancellation,
    *,
    style: LogStyle,
    result_path: str | None,
    finished: Callable[[BuildSucceeded], None] | None,
    log_copy: str | None = None,
) -> int:
    """Do the work, say what happens and how it ended, and return the exit status. See `session.run_build`."""
    copied = None if log_copy is None else CopiedStream(sys.stdout, log_copy)
    stream = sys.stdout if copied is None else cast("TextIO", copied)
    try:
        output = Output(style, stream, result_path)
        return _reported(work, isolation, cancellation, output, finished)
    finally:
        if copied is not None:
            copied.finish()


@dataclass(frozen=True, slots=True)
class Output:
    """Where a build says what happens.

    Attributes:
        style: the form of the log.
        stream: standard output, or what stands for it.
        result_path: where the result document goes.
    """

    style: LogStyle
    stream: TextIO
    result_path: str | None


def _reported(
    work: Work,
    isolation: Isolation | None,
    cancellation: Cancellation,
    output: Output,
    finished: Callable[[BuildSucceeded], None] | None,
) -> int:
    reporter = Reporter(_sink(output))
    used = None if isolation is None else _used(isolation)
    if used is not None:
        reporter.isolation(used)
    status, result, error = _done(work, reporter, cancellation)
    result = result.model_copy(update={"isolation": used})
    reporter.emit(Finished(time=datetime.now(UTC), result=result))
    if output.result_path is not None:
        _write_result(output.result_path, result)
    if isinstance(result, BuildSucceeded):
        try:
            if finished is not None:
                finished(result)
        except BuildError as late:
            sys.stderr.write(f"the image is built, but {late.for_terminal()}\n")
            return late.exit_status
    elif output.style.format == "text" and error is not None:
        text = error.for_terminal()
        sys.stderr.write((without_colours(text) if output.style.plain else text) + "\n")
    return status


def _used(isolation: Isolation) -> IsolationUsed:
    return IsolationUsed(kind=isolation.way, own_proc=isolation.own_proc, reason=isolation.reason or None)


def _sink(output: Output) -> Sink:
    if output.style.format == "json":
        return JsonSink(output.stream)
    if output.style.format == "pod":
        return LogSink(output.stream, style=output.style)
    if output.style.live:
        from strake_builder.progress.live.sink import (
            LiveSink,
        )  # rich: 50 ms that few need

        return LiveSink(sys.stderr, output.style)
    return TextSink(sys.stderr, style=output.style)


def report_unstarted(error: BuildError, result_path: str | None) -> int:
    """Say that a build could not even begin, and return the exit status."""
    if result_path is not None:
        _write_result(result_path, failed(error, ()))
    sys.stderr.write(error.for_terminal() + "\n")
    return error.exit_status


def _done(
    work: Work, reporter: Reporter, cancellation: Cancellation
) -> tuple[int, BuildSucceeded | BuildFailed, BuildError | None]:
    try:
        result = work(reporter, cancellation)
    except BuildError as error:
        stopped = cancellation.reason  # what breaks because the build was stopped is not why it failed
        reason = stopped if isinstance(stopped, BuildError) else error
        return reason.exit_status, failed(reason, tuple(reporter.warnings)), reason
    except OSError as error:
        refused = from_os_error(error, "the build cannot go on")
        return refused.exit_status, failed(refused, tuple(reporter.warnings)), refused
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        internal = internal_error(error)
        return internal.exit_status, failed(internal, tuple(reporter.warnings)), internal
    return 0, result, None


def failed(error: BuildError, warnings: tuple[BuildWarning, ...]) -> BuildFailed:
    """Return the result of a build that an error ended."""
    location = error.location
    return BuildFailed(
        reason=_reason(error),
        message=str(error),
        digest=error.digest or None,
        verification=error.verification,
        temporary=_is_temporary(error),
        file=location.file if location else None,
        line=location.line if location else None,
        instruction=location.instruction or None if location else None,
        exit_code=error.exit_code,
        log_tail=tuple(map(without_colours, error.log_tail)),
        warnings=warnings,
    )


def _reason(error: BuildError) -> FailureReason:
    """Return why a build failed; without the certificate to show, no push or pull was even tried."""
    for cause in _causes(error):
        if isinstance(cause, ClientCertificateError) or _is_missing_certificate(cause):
            return FailureReason.SECRET_NOT_FOUND
    return error.reason


def _is_temporary(error: BuildError) -> bool:
    """Return whether a server is to blame that failed, or did not answer, as often as it was asked."""
    return any(isinstance(each, RegistryError) and is_temporary(each) for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:  # one that was given its place is its own
        yield cause
        seen.append(cause)
        cause = cause.__cause__


def _is_missing_certificate(error: BaseException) -> bool:
    """Say whether the gateway has no certificate to show to a registry."""
    return isinstance(error, RejectedError) and CLIENT_CERTIFICATE in error.context.codes


def _write_result(path: str, result: BuildSucceeded | BuildFailed) -> None:
    try:
        Path(path).write_bytes(fit_result(result))
    except OSError as error:
        sys.stderr.write(f"strake: cannot write the result to {path}: {error.strerror}\n")
