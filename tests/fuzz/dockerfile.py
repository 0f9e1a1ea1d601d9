"""Fuzzes the frontend for a bounded time: `python -m tests.fuzz.dockerfile --seconds 60`.

Starts from the corpus of the oracles and from generated files, cuts and splices them, and keeps what it
finds in tests/fuzz/findings, where `test_findings.py` plays it again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.invariants import check
from tests.oracles.texts.corpus import CORPUS
from tests.oracles.texts.generator import Generator

FINDINGS = Path(__file__).parent / "findings"
SNIPPETS = (
    *(
        "\\",
        "\n",
        "\\\n",
        "#",
        "<<E",
        "<<-E\n\tE\n",
        "E\n",
        "$",
        "${",
        "}",
        ":-",
        "'",
        '"',
        "[",
        "]",
        ",",
        "=",
        "--",
    ),
    *(
        "FROM a\n",
        "ONBUILD ",
        "RUN ",
        "COPY ",
        "--from=0 ",
        "--mount=type=cache,target=/x ",
        "\ufeff",
        "\r",
        "\0",
    ),
    *(
        "\u2028",
        "\x85",
        "\udcff",
        "é",
        "\t",
        " ",
        "`",
        "# escape=`\n",
        "A=",
        "$A",
        "${A//a/b}",
        "../",
        "/./",
        "*",
    ),
)


def mutate(text: str, other: str, draw: random.Random) -> str:
    """Return a text with a few cuts, copies and insertions."""
    for _ in range(draw.randint(1, 6)):
        start = draw.randint(0, len(text))
        end = min(len(text), start + draw.randint(0, 12))
        match draw.randint(0, 4):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + draw.choice(SNIPPETS) + text[start:]
            case 2:
                text = text[:start] + text[start:end] * draw.randint(2, 4) + text[end:]
            case 3:
                cut = draw.randint(0, len(other))
                text = text[:start] + other[cut : cut + draw.randint(0, 40)] + text[end:]
            case _:
                text = (
                    text[:start]
                    + chr(draw.choice((0, 1, 9, 11, 28, 92, 96, 127, 133, 160, 0x3000)))
                    + text[end:]
                )
    return text[:20_000]


def main(arguments: list[str]) -> int:
    """Fuzz; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="the same seed draws the same files")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randint(0, 1 << 30) if options.seed is None else options.seed
    draw = random.Random(seed)
    pool = list(CORPUS.values())
    deadline = time.monotonic() + options.seconds
    tried = sound = 0
    while time.monotonic() < deadline:
        first = Generator(draw.randint(0, 1 << 30)).dockerfile() if draw.random() < 0.3 else draw.choice(pool)
        text = mutate(first, draw.choice(pool), draw)
        tried += 1
        try:
            if check(text):
                sound += 1
                if draw.random() < 0.02:
                    pool.append(text)
        except Exception:  # noqa: BLE001 whatever leaks is the finding
            name = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
            (FINDINGS / f"{name}.txt").write_bytes(text.encode(errors="surrogateescape"))
            traceback.print_exc()
            print(f"found after {tried} files with --seed {seed}: kept as tests/fuzz/findings/{name}.txt")
            return 1
    print(f"{tried} files, {sound} of them sound, nothing found (--seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
