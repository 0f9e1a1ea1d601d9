"""The Dockerfile frontend: parsing, planning and evaluating 200 lines, and matching ignore patterns.

    .venv/bin/python -m benchmarks.frontend_parse [--rounds 50]

Times are the median and the best of the rounds in one process, without imports. The target is 20 ms for
parsing and planning 200 lines.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable

from strake_builder.frontend import BaseImage, evaluate, parse, plan
from strake_builder.frontend.lint import lint
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform

AMD64 = Platform("linux", "amd64")
BASE = BaseImage(RuntimeConfig(env=("PATH=/usr/bin:/bin",)))


def two_hundred_lines() -> str:
    lines = ["# syntax=docker/dockerfile:1", "ARG VERSION=3.12", "FROM base:$VERSION AS build", "ARG VERSION"]
    while len(lines) < 190:
        number = len(lines)
        lines += [
            f'LABEL org.example.k{number}="v $VERSION"',
            f"RUN --mount=type=cache,target=/var/cache/{number} apt-get update && \\",
            f"    apt-get install -y package{number} \\",
            "    # why it is needed",
            "    another",
            f"COPY --chown=1000:1000 src/{number} ${{APP:-/app}}/{number}/",
            f'ENV K{number}=${{K:-{number}}} L{number}="$APP/{number}"',
            "RUN <<EOF",
            f"echo {number}",
            "EOF",
        ]
    lines += ["FROM scratch", "COPY --from=build /app /app", "WORKDIR /app", "USER 1000", "EXPOSE 8080"]
    lines += ['HEALTHCHECK --interval=30s CMD ["/app/run", "check"]', 'ENTRYPOINT ["/app/run"]']
    return "\n".join(lines) + "\n"


def measure(name: str, rounds: int, work: Callable[[], object]) -> None:
    times = []
    work()
    gc.collect()
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    print(f"{name:<44} {statistics.median(times):9.2f} ms   best {min(times):9.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    text = two_hundred_lines()
    dockerfile = parse(text)

    def planned() -> BuildPlan:
        return plan(dockerfile, target=None, build_args={}, platform=AMD64, build_platform=AMD64)

    def evaluated() -> None:
        made = planned()
        for stage in made.stages:
            evaluate(made, stage, None if stage.index else BASE)

    print(f"{text.count(chr(10))} lines")
    measure("parse", rounds, lambda: parse(text))
    measure("plan", rounds, planned)
    measure("plan and evaluate", rounds, evaluated)
    measure("lint", rounds, lambda: lint(dockerfile, platform=AMD64))
    megabyte = text * (1_000_000 // len(text))
    measure("parse 1 MB", max(1, rounds // 10), lambda: parse(megabyte))
    patterns = (
        [f"dir{n}/**/*.o" for n in range(60)] + [f"*.{n}" for n in range(60)] + [f"x{n}" for n in range(60)]
    )
    patterns += [f"!keep{n}/*.c" for n in range(20)]
    paths = [f"dir{n % 100}/sub{n % 1000}/file{n}.o" for n in range(100_000)]

    def ignored() -> None:
        matcher = IgnoreMatcher(patterns)
        for path in paths:
            matcher.ignores(path)

    measure("100,000 paths, 200 ignore patterns", max(1, rounds // 10), ignored)


if __name__ == "__main__":
    main()
