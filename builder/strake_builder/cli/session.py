"""What every building command shares: namespaces, and the signals that stop the build.

The process that the command starts does nothing but wait, so all that a build needs is imported in the one
that builds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

from strake_builder.cli.signals import cancel_on_signal
from strake_builder.errors import BuildError
from strake_oci.cancellation import Cancellation

if TYPE_CHECKING:
    from strake_api.result import BuildSucceeded
    from strake_builder.cli.building import Prepare, Work
    from strake_builder.isolation.ways import Isolation, Wanted
    from strake_builder.progress.style import LogStyle


def run_build(
    prepare: Prepare,
    *,
    style: LogStyle,
    isolation: Wanted = "auto",
    runtime: str = "crun",
    result_path: str | None = None,
    log_copy: str | None = None,
    finished: Callable[[BuildSucceeded], None] | None = None,
) -> int:
    """Run a build in namespaces of its own and return the exit status.

    Args:
        prepare: makes the request; its errors are reported like the build's.
        isolation: the way that steps are isolated.
        runtime: the OCI runtime, where one is needed.
        style: the form of the log.
        result_path: where the result document goes, cut to the size of a termination message.
        log_copy: the socket that a copy of the log goes to.
        finished: called with the result of a build that succeeded.
    """
    from strake_builder.isolation.supervise import run_supervised

    def work(chosen: Isolation) -> int:
        from strake_builder.isolation.processes.spawner import Spawner
        from strake_builder.isolation.sandboxes import Confinement

        spawner = None if chosen.own_proc else Spawner()
        confinement = Confinement(chosen, spawner, runtime)
        cancellation = Cancellation()
        cancel_on_signal(cancellation)
        from strake_builder.cli.building import building, work_and_report

        gc.freeze()  # what was imported stays: looking for garbage passes over it
        gc.enable()
        return work_and_report(
            building(prepare, confinement),
            chosen,
            cancellation,
            style=style,
            result_path=result_path,
            log_copy=log_copy,
            finished=finished,
        )

    def report(error: BuildError) -> int:
        from strake_builder.cli.building import report_unstarted

        return report_unstarted(error, result_path)

    return run_supervised(work, report, isolation)


def run_without_steps(work: Work, *, style: LogStyle, result_path: str | None, log_copy: str | None) -> int:
    """Do what starts no process of a step, and therefore needs no isolation; return the exit status.

    Args:
        work: what is done.
        style: the form of the log.
        result_path: see `run_build`.
        log_copy: likewise.
    """
    cancellation = Cancellation()
    cancel_on_signal(cancellation)
    from strake_builder.cli.building import work_and_report

    gc.freeze()
    gc.enable()
    return work_and_report(
        work, None, cancellation, style=style, result_path=result_path, finished=None, log_copy=log_copy
    )
