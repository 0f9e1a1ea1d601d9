"""Pages as HTML. Everything that comes from the cluster or a registry is another's text: shown, never markup.

Two filters are on every value that a template writes: Jinja escapes what HTML would obey, `finalize` shows
what hides or reorders text (control characters, marks of direction).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from strake_api.status import Phase
from strake_api.text import visible
from strake_builder.progress.transfer_lines import size_text
from strake_kubectl.builds import Build, moment
from strake_kubectl.ui.colours import pieces
from strake_kubectl.ui.timeline import Step
from strake_kubectl.view.advice import advice
from strake_kubectl.view.description import source_text
from strake_kubectl.view.times import age

ROWS: Final = 200
"""Builds of one page of the list."""
_ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED})
_WIDTH: Final = 1000
"""Of the timeline, in units of its drawing."""
_THIN: Final = 2


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Its file in `templates/`.
        **values: What the template names.
    """
    return _environment().get_template(template).render(now=datetime.now(UTC), **values)


def asset(name: str) -> str:
    """Return the text of a file in `static/`."""
    return files("strake_kubectl.ui").joinpath("static", name).read_text(encoding="utf-8")


def path_of(build: Build, *more: str) -> str:
    """Return the path of a build's page, or of one beneath it."""
    parts = (build.namespace, build.name, *more)
    return "/builds/" + "/".join(quote(part, safe="") for part in parts)


def state_of(build: Build) -> str:
    """Return where a build is, in one word."""
    if build.status.phase is None:
        return "New"
    return str(build.status.phase)


def matching(builds: list[Build], words: str, phase: str, namespace: str) -> list[Build]:
    """Return the builds with the words in their names or images, of a phase, of a namespace; all without."""
    wanted = words.casefold()
    return [
        each
        for each in builds
        if (not wanted or wanted in f"{each.namespace}/{each.name} {each.status.image or ''}".casefold())
        and (not phase or state_of(each) == phase)
        and (not namespace or each.namespace == namespace)
    ]


def queued(builds: list[Build]) -> tuple[list[Build], list[Build]]:
    """Return what runs, the oldest first, and what waits, in the order in which it will start."""
    going = [each for each in builds if each.status.phase not in {None, *_ENDED}]
    running = sorted(
        (each for each in going if not each.status.queue), key=lambda each: each.status.start_time or ""
    )
    waiting = sorted((each for each in going if each.status.queue), key=_position)
    return running, waiting


def _position(build: Build) -> tuple[bool, int, str]:
    waits = build.status.queue
    position = waits.position if waits else None
    return (position is None, position or 0, waits.since if waits else "")


def bars(steps: tuple[Step, ...], seconds: float) -> Iterator[tuple[Step, float, float]]:
    """Yield each step with where its bar begins and how wide it is, of 1000."""
    whole = max(seconds, 0.1)
    for step in steps:
        start = min(step.start, whole) / whole * (_WIDTH - _THIN)
        length = (whole - step.start if step.seconds is None else step.seconds) / whole * _WIDTH
        yield step, round(start, 1), round(max(_THIN, min(length, _WIDTH - start)), 1)


def facts(build: Build) -> Iterator[tuple[str, str]]:
    """Yield what is known of a build, as titles and texts."""
    status, run = build.status, build.status.run
    if run is not None:
        by = f" by {run.requested_by}" if run.requested_by else ""
        yield "Run", f"{run.number}, of generation {run.generation}, for {run.trigger.lower()}{by}"
    yield "Source", source_text(build.spec)
    if status.source is not None:
        yield "Resolved", status.source.revision or status.source.digest or ""
    yield "Destinations", "\n".join(map(str, (build.spec.get("output") or {}).get("destinations") or ()))
    yield "Image", status.image or ""
    yield "Attestation", status.attestation or ""
    if status.queue is not None:
        position = f"position {status.queue.position}, " if status.queue.position else ""
        yield "Queue", f"{position}since {status.queue.since}, for {status.queue.reason or 'its turn'}"
    if status.steps is not None and status.steps.total:
        yield "Steps", f"{status.steps.done} of {status.steps.total}, {status.steps.cached} from the cache"
    if status.sizes is not None:
        sizes = status.sizes
        yield "Image size", f"{size_text(sizes.compressed)}, compressed"
        yield "Transferred", f"{size_text(sizes.pulled)} pulled, {size_text(sizes.pushed)} pushed"
    yield "Job", status.job or ""
    yield "Attempts", str(status.attempts or "")
    yield "Isolation", status.isolation.kind if status.isolation else ""
    yield "Cache", status.cache_repository or ""
    yield "Started", status.start_time or ""
    yield "Ended", status.completion_time or ""
    yield "Took", status.duration or ""


def attribute(text: object) -> object:
    """Return a value as templates write it."""
    if isinstance(text, str) and not isinstance(text, Markup):
        return visible(text)
    return text


def _age(text: str | None, now: datetime) -> str:
    then = moment(text)
    return age(then, now) if then else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("strake_kubectl.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=attribute,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(path_of=path_of, state_of=state_of, bars=bars, facts=facts, advice=advice)
    environment.globals.update(pieces_of=pieces)
    environment.filters.update(age=_age, size=size_text)
    return environment


def reasons(build: Build) -> Mapping[str, Any]:
    """Return what may be done with a build: `rerun`, `cancel`."""
    return {"rerun": build.is_finished, "cancel": not build.is_finished and bool(build.run)}
