"""Hostile size: ten megabytes in any shape are read, or refused, before the clock runs out.

The limits are generous, for slow machines; a reader that is slower than linear misses them by hours.
"""

from __future__ import annotations

import pytest

from strake_builder.frontend import DockerfileRefusedError, parse, plan
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_oci.spec.platform import Platform
from tests.property.frontend_refusals import attempt

SIZE = 10_000_000
AMD64 = Platform("linux", "amd64")

SHAPES = {
    "one instruction": "RUN " + "x " * (SIZE // 2),
    "one quoted value": 'ENV a="' + "x " * (SIZE // 2) + '"',
    "escaped quotes": 'ENV a="' + '\\"' * (SIZE // 2) + '"',
    "continuations": "RUN x" + " \\\nx" * (SIZE // 4),
    "comments inside": "RUN x \\\n" + "# c\n" * (SIZE // 4) + "y",
    "blank lines": "\n" * (SIZE // 4) + "RUN x",
    "a heredoc": "RUN <<E\n" + "x\n" * (SIZE // 2) + "E\n",
    "a heredoc that does not end": "RUN <<E\n" + "x\n" * (SIZE // 2),
    "heredocs": "RUN <<E\nx\nE\n" * (SIZE // 12),
    "heredocs of no instruction": "X <<E\n" * (SIZE // 6),
    "instructions": "RUN x\n" * (SIZE // 6),
    "mistakes": "X\n" * (SIZE // 2),
    "JSON": "RUN [" + '"a",' * (SIZE // 4) + '"a"]',
    "brackets": "RUN " + "[" * SIZE,
    "triggers in triggers": "ONBUILD " * (SIZE // 8) + "RUN x",
    "flags": "RUN " + "--mount=target=/x " * (SIZE // 18) + "x",
    "mount fields": "RUN --mount=" + "a=b," * (SIZE // 4) + " x",
    "backslashes": "RUN " + "\\" * SIZE,
    "angle brackets": "RUN " + "<" * SIZE,
    "stages": "FROM a AS b\n" * (SIZE // 12),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_ten_megabytes_are_read_or_refused(shape):
    dockerfile, refused = attempt(parse, f"FROM base\n{SHAPES[shape]}")
    assert dockerfile or 0 < len(str(refused)) < 100_000


@pytest.mark.timeout(60)
def test_a_hundred_thousand_nested_substitutions_are_refused():
    text = "FROM " + "${a:-" * 100_000 + "b" + "}" * 100_000
    with pytest.raises(DockerfileRefusedError, match="nested more than 100 deep"):
        plan(parse(text), target=None, build_args={}, platform=AMD64, build_platform=AMD64)


@pytest.mark.timeout(120)
def test_a_hundred_thousand_paths_and_two_hundred_patterns():
    patterns = (
        [f"dir{n}/**/*.o" for n in range(60)] + [f"*.{n}" for n in range(60)] + [f"x{n}" for n in range(60)]
    )
    matcher = IgnoreMatcher([*patterns, *(f"!keep{n}/*.c" for n in range(20))])
    ignored = sum(matcher.ignores(f"dir{n % 100}/sub{n % 1000}/file{n}.o") for n in range(100_000))
    assert ignored == 60_000
