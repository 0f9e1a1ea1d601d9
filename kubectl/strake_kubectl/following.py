"""Waits for a build, and reads its log as it is written: from one pod after another, or from a registry."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from strake_api.text import visible
from strake_kubectl.builds import Build
from strake_kubectl.cluster import Cluster, Pod
from strake_kubectl.errors import BrokenConnectionError, CommandError, NotFoundError

_WATCH: Final = 240
"""Seconds of one watch: what is between here and the API server ends silent connections."""
_TRIES: Final = 5
"""Connections that break one after another before more of a log has come."""
_PAUSE: Final = 1.0
"""Seconds before a build is read again that a watch has told nothing of."""

Write = Callable[[str], object]


def await_end(cluster: Cluster, name: str, seconds: int | None = None) -> Build | None:
    """Return a build when what was asked for last has ended; None when it has not in this time.

    Raises:
        CommandError: It is gone, or cannot be read.
    """
    return await_state(cluster, name, lambda build: build.is_finished, seconds)


def await_state(
    cluster: Cluster, name: str, reached: Callable[[Build], bool], seconds: int | None = None
) -> Build | None:
    """Return a build when it has reached a state; None when it has not in this time."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        build = cluster.get(name)
        if reached(build):
            return build
        left = _WATCH if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return None
        with suppress(BrokenConnectionError):  # reading the build tells whether the cluster is there
            for changed in cluster.changes(build, int(min(left, _WATCH)) or 1):
                if changed.uid != build.uid:
                    break
                if reached(changed):
                    return changed
                if deadline is not None and time.monotonic() > deadline:
                    return None
        time.sleep(_PAUSE)  # the watch ended at once, as when its version is too old: no busy loop


def follow(cluster: Cluster, name: str, write: Write, *, raw: bool = False) -> Build:
    """Write the log of the run that was asked for last as it comes; return the build when it has ended.

    Args:
        cluster: Has the pods.
        name: Of the build.
        write: Gets the text.
        raw: Leave in it what a terminal would obey.

    Raises:
        CommandError: It is gone, or cannot be read.
    """
    seen: set[str] = set()
    while True:
        build = await_state(cluster, name, lambda found: found.is_finished or _has_pod(cluster, found, seen))
        if build is None:
            raise CommandError(f"{name} cannot be followed")
        pods = [pod for pod in cluster.pods(build, build.run) if pod.has_log and pod.name not in seen]
        for pod in pods:
            _head(pod, write, alone=not seen)
            seen.add(pod.name)
            write_text(_whole_log(cluster, build, pod), write, raw=raw)
        if build.is_finished and not pods:
            return build


def _whole_log(cluster: Cluster, build: Build, pod: Pod) -> Iterator[bytes]:
    """Yield the log of a pod until its builder has ended, though a proxy may end a connection that is silent.

    The log is then asked for again, and as much of it as is known left out.
    """
    known, in_vain = 0, 0
    while True:
        left_out, before = known, known
        try:
            for piece in cluster.log(pod.name, follow=True):
                fresh = piece[left_out:]
                left_out -= len(piece) - len(fresh)
                known += len(fresh)
                if fresh:
                    yield fresh
        except BrokenConnectionError:
            in_vain = 0 if known > before else in_vain + 1
            if in_vain == _TRIES:
                raise
        if not any(each.name == pod.name and each.is_running for each in cluster.pods(build, build.run)):
            return
        time.sleep(_PAUSE)  # it was ended at once: no busy loop


def _has_pod(cluster: Cluster, build: Build, seen: set[str]) -> bool:
    if not build.is_current or not build.run:
        return False
    return any(pod.has_log and pod.name not in seen for pod in cluster.pods(build, build.run))


def print_log(
    cluster: Cluster,
    build: Build,
    run: int,
    kept: Callable[[str], Iterable[str]],
    write: Write,
    *,
    raw: bool = False,
) -> None:
    """Write the log of a run, as far as it is: of its pods, or where they are gone the one that was kept.

    Args:
        cluster: Has the pods.
        build: Whose run.
        run: Its number.
        kept: Reads a log of a registry, as it may be shown.
        write: Gets the text.
        raw: Leave in it what a terminal would obey.

    Raises:
        CommandError: There is no such run, or its log is gone.
    """
    pods = [pod for pod in cluster.pods(build, run) if pod.has_log]
    for pod in pods:
        _head(pod, write, alone=len(pods) == 1)
        write_text(cluster.log(pod.name, follow=False), write, raw=raw)
    if pods:
        return
    ended = build.ended_run(run)
    if ended is None:
        if run == build.run:
            raise CommandError(
                f"run {run} of {build.name} has no log yet: {build.message or 'its pod does not run'}",
                hint=f"kubectl strake logs -f {build.name}",
            )
        known = ", ".join(str(each.number) for each in build.status.history or ())
        raise NotFoundError(f"{build.name} has no run {run}", hint=f"runs that are known: {known or 'none'}")
    kept_parts = [(part.name, part.log) for part in ended.parts or () if part.log is not None]
    for name, log in kept_parts:
        write(visible(f"==> {name} <==\n"))
        for text in kept(log):
            write(text)
    if kept_parts:
        return
    if ended.log is None:
        told = (ended.log_failure, *(part.log_failure for part in ended.parts or ()))
        why = next(filter(None, told), "the platform keeps no logs")
        raise CommandError(
            f"the pod of run {run} of {build.name} is gone, and its log with it: {why}",
            hint="ask the platform team to keep logs: docs/operator.md, Logs that outlive pods",
        )
    for text in kept(ended.log):
        write(text)


def write_text(pieces: Iterable[bytes], write: Write, *, raw: bool) -> None:
    """Write what comes as text, in which what a terminal would obey is shown unless it is to be raw."""
    for text in _decoded(pieces):
        write(text if raw else visible(text))


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _head(pod: Pod, write: Write, *, alone: bool) -> None:
    """Tell whose log comes, where there are several."""
    if not alone or pod.part:
        write(visible(f"==> {pod.part or pod.name} <==\n"))
