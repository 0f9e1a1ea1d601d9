"""A stage's base is unpacked where a step reads what is in it, or somebody reads the stage."""

from __future__ import annotations

import pytest

from strake_builder.solve.caching.unpacked_stages import unpacked_stages
from tests.unit.strake_builder.solve.builds import build_of


@pytest.mark.parametrize(
    ("steps", "unpacked"),
    [
        ("COPY a /", set()),
        ("WORKDIR /w\nENV a=b\nCOPY --link a /\nCOPY <<e /f\ne", set()),
        ("COPY a /\nRUN true", {0}),
        ("ADD a /", {0}),
        ("ADD --link a /", set()),
        ("ADD --unpack=false a /", set()),
        ("ADD https://example.com/a /", set()),
        ("ADD --unpack=true https://example.com/a /", {0}),
        ("ADD https://example.com/a.git /", set()),
        ("COPY a /\nFROM scratch\nCOPY --from=0 / /", {0}),
        ("COPY a /\nFROM scratch\nRUN --mount=from=one,target=/m true", {0, 1}),
        ("COPY a /\nFROM one\nCOPY b /", set()),
        ("COPY a /\nFROM one\nRUN true", {0, 1}),
        ("RUN true\nFROM one\nCOPY b /", {0}),
        ("COPY a /\nFROM one AS two\nCOPY b /\nFROM scratch\nCOPY --from=two / /", {0, 1}),
        (
            "COPY a /\nFROM one AS two\nCOPY b /\nFROM scratch AS three\nCOPY --from=one / /\nFROM two\nCOPY --from=three / /",
            {0, 2},
        ),
    ],
)
def test_what_is_unpacked(steps, unpacked):
    assert unpacked_stages(build_of(f"FROM scratch AS one\n{steps}"), is_target_read=False) == unpacked


def test_a_target_whose_files_are_written_out():
    build = build_of("FROM scratch AS one\nCOPY a /\nFROM one\nCOPY b /")
    assert unpacked_stages(build, is_target_read=True) == {0, 1}
