"""One build as a command carries it out: progress, the result, the error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from strake_api.events import Finished
from strake_api.reasons import FailureReason
from strake_api.request import BuildRequest
from strake_api.result import BuildFailed, BuildSucceeded, BuildWarning, fit_result
from strake_api.result import Isolation as IsolationUsed
from strake_api.text import without_colours
from strake_builder.errors import BuildError, RunStepError
from strake_builder.gateway.errors import CLIENT_CERTIFICATE
from strake_builder.isolation.sandboxes import Confinement
from strake_builder.isolation.ways import Isolation
from strake_builder.progress.reporter import Reporter, Sink
from strake_builder.progress.style import LogStyle
from strake_builder.progress.text import JsonSink, LogSink, TextSink
from strake_builder.solve.build import Build
from strake_builder.solve.inputs import BuildInputs
from strake_builder.unforeseen import from_os_error, internal_error
from strake_oci.cancellation import Cancellation
from strake_oci.errors import ClientCertificateError, RejectedError

Prepare = Callable[[], tuple[BuildRequest, BuildInputs]]
"""Makes the request; its errors are reported like the build's."""


def build_and_report(
    prepare: Prepare,
    confinement: Confinement,
    cancellation: Cancellation,
    *,
    log_format: str,
    style: LogStyle | None,
    result_path: str | None,
    finished: Callable[[BuildSucceeded], None] | None,
) -> int:
    """Build, say what happens and how it ended, and return the exit status. See `session.run_build`."""
    reporter = Reporter(_sink(log_format, style))
    used = _used(confinement.isolation)
    reporter.isolation(used)
    status, result, error = _build(prepare, confinement, reporter, cancellation)
    result = result.model_copy(update={"isolation": used})
    reporter.emit(Finished(time=datetime.now(UTC), result=result))
    if result_path is not None:
        _write_result(result_path, result)
    if isinstance(result, BuildSucceeded):
        try:
            if finished is not None:
                finished(result)
        except BuildError as late:
            sys.stderr.write(f"the image is built, but {late.for_terminal()}\n")
            return late.exit_status
    elif log_format == "text" and error is not None:
        text = error.for_terminal()
        sys.stderr.write((without_colours(text) if style is not None and style.plain else text) + "\n")
    return status


def _used(isolation: Isolation) -> IsolationUsed:
    return IsolationUsed(kind=isolation.way, own_proc=isolation.own_proc, reason=isolation.reason or None)


def _sink(log_format: str, style: LogStyle | None) -> Sink:
    if log_format == "json":
        return JsonSink(sys.stdout)
    return LogSink(sys.stdout, style=style) if log_format == "pod" else TextSink(sys.stderr, style=style)


def report_unstarted(error: BuildError, result_path: str | None) -> int:
    """Say that a build could not even begin, and return the exit status."""
    if result_path is not None:
        _write_result(result_path, _failed(error, ()))
    sys.stderr.write(error.for_terminal() + "\n")
    return error.exit_status


def _build(
    prepare: Prepare, confinement: Confinement, reporter: Reporter, cancellation: Cancellation
) -> tuple[int, BuildSucceeded | BuildFailed, BuildError | None]:
    try:
        request, inputs = prepare()
        result = Build(request, replace(inputs, confinement=confinement), reporter, cancellation).run()
    except BuildError as error:
        stopped = cancellation.reason  # what breaks because the build was stopped is not why it failed
        reason = stopped if isinstance(stopped, BuildError) else error
        return reason.exit_status, _failed(reason, tuple(reporter.warnings)), reason
    except OSError as error:
        refused = from_os_error(error, "the build cannot go on")
        return refused.exit_status, _failed(refused, tuple(reporter.warnings)), refused
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        internal = internal_error(error)
        return internal.exit_status, _failed(internal, tuple(reporter.warnings)), internal
    return 0, result, None


def _failed(error: BuildError, warnings: tuple[BuildWarning, ...]) -> BuildFailed:
    location = error.location
    return BuildFailed(
        reason=_reason(error),
        message=str(error),
        file=location.file if location else None,
        line=location.line if location else None,
        instruction=location.instruction or None if location else None,
        exit_code=error.exit_code if isinstance(error, RunStepError) else None,
        log_tail=tuple(map(without_colours, error.log_tail)) if isinstance(error, RunStepError) else (),
        warnings=warnings,
    )


def _reason(error: BuildError) -> FailureReason:
    """Return why a build failed; without the certificate to show, no push or pull was even tried."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:  # one that was given its place is its own
        if isinstance(cause, ClientCertificateError) or _is_missing_certificate(cause):
            return FailureReason.SECRET_NOT_FOUND
        seen.append(cause)
        cause = cause.__cause__
    return error.reason


def _is_missing_certificate(error: BaseException) -> bool:
    """Say whether the gateway has no certificate to show to a registry."""
    return isinstance(error, RejectedError) and CLIENT_CERTIFICATE in error.context.codes


def _write_result(path: str, result: BuildSucceeded | BuildFailed) -> None:
    try:
        Path(path).write_bytes(fit_result(result))
    except OSError as error:
        sys.stderr.write(f"strake: cannot write the result to {path}: {error.strerror}\n")
