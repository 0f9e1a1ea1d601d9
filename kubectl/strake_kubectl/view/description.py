"""One build on one screen: what it makes, where it is, why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from strake_api.models.verification import FindingCounts
from strake_api.status import Phase
from strake_api.text import coloured, visible, without_colours
from strake_kubectl.builds import Build, moment
from strake_kubectl.view.advice import advice
from strake_kubectl.view.times import age

_LOG_LINES: Final = 8
_HISTORY: Final = 5
_SHORT: Final = 12
_WARNINGS: Final = 5


def describe(build: Build, now: datetime) -> list[str]:
    """Return the lines. Every text is another's: what a terminal would obey is shown."""
    state = f"{build.status.phase or 'not seen by the operator yet'}"
    state += f", {build.reason}" if build.reason and build.reason != build.status.phase else ""
    lines = [f"{build.namespace}/{build.name}: {state}"]
    for title, content in (
        ("What", _what(build)),
        ("Where", _where(build, now)),
        ("Why", _why(build)),
        ("Next", _next(build)),
        ("History", _history(build, now)),
    ):
        first = f"{title:<9}"
        for text in content:
            for line in text.split("\n"):
                lines.append(f"{first}{visible(line)}".rstrip())
                first = " " * 9
    return lines


def _what(build: Build) -> Iterator[str]:
    run, status = build.status.run, build.status
    if run is not None:
        by = f" by {run.requested_by}" if run.requested_by else ""
        why = "a rerun that was asked for" + by if run.trigger == "Rerun" else "the spec"
        yield f"run {run.number} of generation {run.generation}, for {why}"
    found = status.source
    source = source_text(build.spec)
    resolved = (found.revision or found.digest or "") if found else ""
    yield f"from {source}" + (f", {resolved}" if resolved and resolved not in source else "")
    for destination in build.spec.get("output", {}).get("destinations", []):
        yield f"to {destination}"
    if status.image:
        earlier = "" if status.phase is Phase.SUCCEEDED else ", of an earlier run"
        yield f"image {status.image}{earlier}"
    for each in status.platforms or ():
        yield f"  {each.platform} {each.digest}"


def source_text(spec: Any) -> str:
    """Return where a spec's context comes from, in a few words."""
    source = dict(spec.get("source") or {})
    for kind, chosen in source.items():
        match kind, chosen:
            case "git", {"url": url, **more}:
                return f"{url} at {more.get('ref', 'HEAD')}"
            case "oci", {"reference": reference}:
                return f"the artifact {reference}"
            case "configMap", {"name": name}:
                return f"ConfigMap {name}"
            case "inline", _:
                return "files in the spec"
            case _, {"url": url}:
                return str(url)
            case _, {"bucket": bucket, **more}:
                return f"{kind} bucket {bucket}, {more.get('key') or more.get('object') or ''}"
            case _:
                return str(kind)
    return "nowhere"


def _where(build: Build, now: datetime) -> Iterator[str]:
    status = build.status
    if status.queue is not None:
        position = f"position {status.queue.position} in" if status.queue.position else "in"
        yield f"{position} the queue since {age(moment(status.queue.since), now)}: {status.queue.reason}"
    if status.job:
        attempts = f", attempt {status.attempts}" if (status.attempts or 1) > 1 else ""
        kind = f", isolation {status.isolation.kind}" if status.isolation else ""
        yield f"Job {status.job}{attempts}{kind}"
    for part in status.parts or ():
        if part.phase is not None:
            job = f", Job {part.job}" if part.job else ""
            attempts = f", attempt {part.attempts}" if (part.attempts or 1) > 1 else ""
            yield f"{part.name}: {part.phase}{job}{attempts}"
    if status.start_time:
        took = f", took {status.duration}" if status.duration else ""
        yield f"started {age(moment(status.start_time), now)} ago{took}"
    if status.steps is not None and status.steps.total and not build.is_finished:
        yield f"step {status.steps.done} of {status.steps.total}, {status.steps.cached} from the cache"
    if status.progress:
        yield status.progress


def _why(build: Build) -> Iterator[str]:
    failure = build.status.failure
    if failure is None:
        if build.message:
            yield build.message
    else:
        at = f"{failure.file}:{failure.line}: " if failure.file and failure.line else ""
        yield f"{at}{failure.instruction}" if failure.instruction else at.rstrip(": ")
        yield failure.message
        for line in (failure.log_tail or "").splitlines()[-_LOG_LINES:]:
            yield f"  | {without_colours(coloured(line))}"
    for check in build.status.verification or ():
        demanded = f" of BuildPolicy {check.policy}" if check.policy else ""
        image = f" for {check.platform}" if check.platform else ""
        yield f"{check.kind} {check.name}{demanded}{image}: {check.outcome.lower()}{_counted(check.findings)}"
    for retry in build.status.retries or ():
        yield f"attempt {retry.attempt} ended: {retry.reason}: {retry.message}"
    for warning in (build.status.warnings or ())[:_WARNINGS]:
        yield f"warning: {warning}"


def _counted(findings: FindingCounts | None) -> str:
    """Return what a scan found, the worst first; nothing for a test."""
    if findings is None:
        return ""
    numbers = findings.model_dump()
    return ": " + (", ".join(f"{count} {name}" for name, count in numbers.items() if count) or "no findings")


def _next(build: Build) -> Iterator[str]:
    name = build.name if not build.namespace else f"{build.name} -n {build.namespace}"
    if not build.is_current:
        yield "the operator has not acted on the last change: see that it runs, then look again"
    elif build.status.phase is Phase.SUCCEEDED:
        yield f"deploy {build.status.image}"
    elif build.status.phase is Phase.FAILED:
        if (told := advice(build.reason)) != "":
            yield told
        yield f"kubectl strake logs {name}"
        yield f"kubectl strake rerun {name}"
    elif build.spec.get("suspend"):
        yield "set spec.suspend to false: nothing starts before"
    else:
        yield f"kubectl strake logs -f {name}"
        yield f"kubectl strake cancel {name}"


def _history(build: Build, now: datetime) -> Iterator[str]:
    for run in (build.status.history or ())[:_HISTORY]:
        digest = (run.digest or "").removeprefix("sha256:")[:_SHORT]
        ended = age(moment(run.completion_time), now)
        kept = "log kept" if run.log or any(part.log for part in run.parts or ()) else ""
        yield "  ".join(filter(None, (str(run.number), run.phase, run.reason, digest, f"{ended} ago", kept)))
