"""What is built: Dockerfiles, their contexts, and what is on the machine when the clock starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final


class Before(Enum):
    """What a builder has when the clock starts."""

    NOTHING = "cold"
    """Nothing of the image, and no cache."""
    SAME_MACHINE = "warm"
    """What the first build, which is not timed, left on the machine."""
    REGISTRY_CACHE = "registry cache"
    """An empty machine, and the cache that the first build, which is not timed, left in the registry."""


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        title: as the table calls it.
        dockerfile: BASE stands for the base image.
        context: makes the context's files.
        before: what there is when the clock starts.
        change: what is different between the first build and the timed one.
        base_files: files that are put on top of Debian to make the base image.
        rounds: at most so many, where one says enough.
    """

    title: str
    dockerfile: str
    context: Callable[[Path], None] = lambda _: None
    before: Before = Before.NOTHING
    change: Callable[[Path], None] = lambda _: None
    base_files: int = 0
    rounds: int = 100


def _many_files(context: Path) -> None:
    for number in range(10_000):
        directory = context / f"d{number % 100}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_text(f"{number}\n" * 20)


def _sources(context: Path) -> None:
    (context / "early").write_text("copied first\n")
    for number in range(100):
        (context / "src").mkdir(exist_ok=True)
        (context / "src" / f"f{number}").write_text(f"{number}\n" * 20)


def _edit_a_source(context: Path) -> None:
    (context / "src" / "f7").write_text("edited\n")


def _other_command(context: Path) -> None:
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("echo before", "echo after"))


def _random_layer(size: int) -> str:
    return f"FROM BASE\nRUN head -c {size} /dev/urandom > /big\n"


_THREE_STAGES: Final = "".join(
    [
        *(f"FROM BASE AS s{n}\nRUN sleep 2; seq 1 3000000 > /out{n}\n" for n in range(3)),
        "FROM BASE\n",
        *(f"COPY --from=s{n} /out{n} /\n" for n in range(3)),
    ]
)
_APPLICATION: Final = """\
FROM BASE
RUN seq 1 3000000 > /dependencies
COPY early /
RUN wc -l /dependencies > /lines
WORKDIR /src
COPY src /src
"""
_ONE_FILE: Final = "FROM BASE\nRUN echo before > /many/d1/f1\n"

CASES: Final = {
    "small": Case("small: 3 RUN", "FROM BASE\nRUN echo 1 > /1\nRUN echo 2 > /2\nENV A=b\nRUN echo 3 > /3\n"),
    "text": Case("text layer, 340 MB", "FROM BASE\nRUN seq 1 39400000 > /big\n"),
    "random": Case("incompressible layer, 400 MB", _random_layer(400_000_000)),
    "files": Case(
        "50,000 small files",
        "FROM BASE\nRUN mkdir /many && cd /many && for d in $(seq 50); do mkdir $d; "
        "for f in $(seq 1000); do echo $f > $d/$f; done; done\n",
    ),
    "stages": Case("three stages of 2 s and more", _THREE_STAGES),
    "copy": Case("COPY of 10,000 files", "FROM BASE\nCOPY . /src\n", _many_files),
    "ten": Case("ten RUN", "FROM BASE\n" + "".join(f"RUN echo {n} > /{n}\n" for n in range(10))),
    "same": Case("warm, nothing changed", _APPLICATION, _sources, Before.SAME_MACHINE),
    "edited": Case("warm, last COPY changed", _APPLICATION, _sources, Before.SAME_MACHINE, _edit_a_source),
    "registry": Case("registry cache, empty machine", _APPLICATION, _sources, Before.REGISTRY_CACHE),
    "edited-registry": Case(
        "registry cache, empty machine, last COPY changed",
        _APPLICATION,
        _sources,
        Before.REGISTRY_CACHE,
        _edit_a_source,
    ),
    "one-of-10k": Case(
        "one file changed, base of 10,000",
        _ONE_FILE,
        before=Before.SAME_MACHINE,
        change=_other_command,
        base_files=10_000,
    ),
    "one-of-200k": Case(
        "one file changed, base of 200,000",
        _ONE_FILE,
        before=Before.SAME_MACHINE,
        change=_other_command,
        base_files=200_000,
    ),
    "100mb": Case("memory: layer of 100 MB", _random_layer(100_000_000), rounds=1),
    "1gb": Case("memory: layer of 1 GB", _random_layer(1_000_000_000), rounds=1),
    "4gb": Case("memory: layer of 4 GB", _random_layer(4_000_000_000), rounds=1),
}


def base_dockerfile(files: int) -> str:
    """Return the Dockerfile of a base image with so many small files, a thousand to a directory."""
    return (
        f"FROM BASE\nRUN mkdir /many && cd /many && for d in $(seq {files // 1000}); do "
        "mkdir d$d && (cd d$d && seq -f f%g 1000 | xargs touch); done\n"
    )
