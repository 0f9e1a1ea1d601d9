"""Builds a case with every builder in turn, and keeps the best of the rounds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.builders.cases import Before, Case, base_dockerfile
from benchmarks.builders.disk import fresh_disk
from benchmarks.builders.measure import BuildFailedError, Cost, measure
from benchmarks.builders.peers import Builder, Order, Running, Strake
from benchmarks.builders.registry import CountedRegistry, counted_registry

from tests.images.push import push_image

_DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        rounds: how often each builder builds each case.
        drop_caches: empty the machine's page cache before each timed build.
    """

    rounds: int
    drop_caches: bool


def run_case(case: Case, builders: Sequence[Builder], settings: Settings) -> dict[str, Cost | None]:
    """Return the best of each builder's rounds by its name; None where a build failed, which is printed."""
    costs: dict[str, list[Cost]] = {builder.name: [] for builder in builders}
    failed = set()
    with counted_registry() as registry:
        base = _push_base(case, registry)
        for number in range(min(settings.rounds, case.rounds)):
            turn = number % len(builders)
            for builder in [*builders[turn:], *builders[:turn]]:
                if builder.name in failed:
                    continue
                try:
                    costs[builder.name].append(_build(case, base, builder, registry, number, settings))
                except BuildFailedError as error:
                    failed.add(builder.name)
                    print(f"{case.title}: {builder.name} failed:\n{error}", file=sys.stderr, flush=True)
    return {name: None if name in failed else _best(made) for name, made in costs.items()}


def _best(costs: list[Cost]) -> Cost:
    """Return the fastest, with the least processor time and the largest memory of all."""
    fastest = min(costs, key=lambda cost: cost.seconds)
    return Cost(
        fastest.seconds,
        min(cost.cpu for cost in costs),
        max(cost.memory for cost in costs),
        fastest.moved,
    )


def _build(
    case: Case, base: str, builder: Builder, registry: CountedRegistry, number: int, settings: Settings
) -> Cost:
    """Do what comes before the clock starts, and build."""
    repository = f"{registry.host}/bench/{builder.name.lower()}-{number}"
    cache = f"{repository}-cache" if case.before is Before.REGISTRY_CACHE else None
    keep = case.before is Before.SAME_MACHINE
    with tempfile.TemporaryDirectory(prefix="strake-bench-", dir="/var/tmp") as scratch:
        context = Path(scratch, "context")
        context.mkdir()
        case.context(context)
        (context / "Dockerfile").write_text(case.dockerfile.replace("BASE", base))
        first = Order(context, f"{repository}:1", keep=keep, cache_to=cache)
        timed = Order(context, f"{repository}:1", keep=keep, cache_from=cache)
        with contextlib.ExitStack() as scope:
            running = scope.enter_context(_started(builder, registry))
            if case.before is not Before.NOTHING:
                _measured(builder, running, first, registry)
                case.change(context)
            if case.before is Before.REGISTRY_CACHE:
                running = scope.enter_context(_started(builder, registry))
            _settle(settings)
            return _measured(builder, running, timed, registry)


def _measured(builder: Builder, running: Running, order: Order, registry: CountedRegistry) -> Cost:
    command = builder.command(running, order)
    return measure(command, programs=builder.programs(), daemons=running.daemons, registry=registry)


@contextlib.contextmanager
def _started(builder: Builder, registry: CountedRegistry) -> Iterator[Running]:
    """Start a builder on an empty disk."""
    with fresh_disk() as state, builder.started(state, registry.host) as running:
        yield running


def _settle(settings: Settings) -> None:
    """Write out what earlier builds left to be written, so that this one does not pay for it."""
    os.sync()
    if settings.drop_caches:
        _DROP_CACHES.write_text("3")


def _push_base(case: Case, registry: CountedRegistry) -> str:
    """Push the case's base image; return its reference."""
    debian = f"{registry.host}/library/debian:12"
    push_image("base", debian)
    if not case.base_files:
        return debian
    reference = f"{registry.host}/library/files:{case.base_files}"
    strake = Strake()
    with (
        tempfile.TemporaryDirectory(prefix="strake-bench-", dir="/var/tmp") as context,
        _started(strake, registry) as running,
    ):
        text = base_dockerfile(case.base_files).replace("BASE", debian)
        Path(context, "Dockerfile").write_text(text)
        command = strake.command(running, Order(Path(context), reference))
        subprocess.run(command, check=True, capture_output=True)
    return reference
