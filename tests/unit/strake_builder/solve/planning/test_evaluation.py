"""What an evaluated build knows of its stages, without any registry."""

from __future__ import annotations

from tests.unit.strake_builder.solve.builds import build_of

STAGES = """
FROM scratch AS one
COPY a /
FROM one AS two
ENV x=1
COPY b /
FROM scratch AS unused
COPY c /
FROM two
COPY --from=one a /d
"""


def test_steps_are_numbered_over_all_needed_stages():
    build = build_of(STAGES)
    assert build.numbers() == {0: 1, 1: 2, 3: 4}
    assert len(build.steps) == 4


def test_the_layers_of_a_stage_are_those_of_the_stages_it_builds_on():
    build = build_of(STAGES)
    assert build.chain(3) == (0, 1, 3)
    assert build.chain(0) == (0,)


def test_a_stage_over_scratch_has_no_base_image():
    assert build_of(STAGES).base_of(3) is None


def test_a_stage_has_the_configuration_of_the_stage_it_builds_on():
    assert "x=1" in build_of(STAGES).stages[3].config.env
