"""Whatever a cache has, a build executes what it must and nothing that it need not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strake_builder.frontend.model.planned import StageBase
from strake_builder.frontend.model.steps import ConfigStep, CopyStep, FromStage
from strake_builder.solve.caching.selection import Selection, select, select_all
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from tests.unit.strake_builder.solve.builds import build_of, key, keys_of, result_of


@st.composite
def builds(draw) -> EvaluatedBuild:
    """Draw a Dockerfile of some stages over, and with files of, those before them."""
    lines = []
    for stage in range(draw(st.integers(1, 6))):
        earlier = [f"s{number}" for number in range(stage)]
        lines.append(f"FROM {draw(st.sampled_from(['scratch', *earlier]))} AS s{stage}")
        sources = st.sampled_from(["COPY a /", "ENV x=1", *(f"COPY --from={name} a /" for name in earlier)])
        lines += draw(st.lists(sources, max_size=4))
    return build_of("\n".join(lines))


@st.composite
def selections(draw) -> tuple[EvaluatedBuild, set[tuple[int, int]], Selection]:
    """Draw a build, the steps that a cache has, and what is selected."""
    build = draw(builds())
    steps = [(index, at) for index, stage in build.stages.items() for at in range(len(stage.steps))]
    found = draw(st.sets(st.sampled_from(steps))) if steps else set()
    return build, found, selected(build, found)


def selected(build: EvaluatedBuild, found: set[tuple[int, int]]) -> Selection:
    return select(build, keys_of(build), {key(*step): result_of(key(*step)) for step in found})


def file_steps(build: EvaluatedBuild, index: int) -> list[int]:
    steps = build.stages[index].steps
    return [at for at, step in enumerate(steps) if not isinstance(step, ConfigStep)]


def executed(build: EvaluatedBuild, selection: Selection) -> set[tuple[int, int]]:
    """Return the steps that execute, whether a lookup by content finds some of them or not."""
    return {
        (index, at)
        for index in selection.needed
        for at in file_steps(build, index)[len(selection.hits[index]) :]
    }


@given(selections())
def test_hits_are_the_first_steps_of_a_stage_and_the_next_is_a_miss(drawn):
    build, found, selection = drawn
    for index, hits in selection.hits.items():
        positions = file_steps(build, index)
        assert hits == tuple(result_of(key(index, at)) for at in positions[: len(hits)])
        assert all((index, at) in found for at in positions[: len(hits)])
        base = build.plan.every_stage[index].base
        over_hits = not isinstance(base, StageBase) or complete(build, selection, base.index)
        if over_hits and len(hits) < len(positions):
            assert (index, positions[len(hits)]) not in found


def complete(build: EvaluatedBuild, selection: Selection, index: int) -> bool:
    base = build.plan.every_stage[index].base
    whole = len(selection.hits[index]) == len(file_steps(build, index))
    return whole and (not isinstance(base, StageBase) or complete(build, selection, base.index))


@given(selections())
def test_no_hit_lies_over_a_step_that_executes(drawn):
    build, _, selection = drawn
    for index, hits in selection.hits.items():
        base = build.plan.every_stage[index].base
        if hits and isinstance(base, StageBase):
            assert complete(build, selection, base.index)


@given(selections())
def test_a_stage_is_needed_if_and_only_if_somebody_reads_it(drawn):
    build, _, selection = drawn
    readers = {build.plan.target}
    for index in selection.needed:
        base = build.plan.every_stage[index].base
        if isinstance(base, StageBase):
            readers.add(base.index)
    for index, at in executed(build, selection):
        step = build.stages[index].steps[at]
        if isinstance(step, CopyStep) and isinstance(step.source, FromStage):
            readers.add(step.source.index)
    assert selection.needed == readers


@given(selections(), st.data())
def test_who_finds_more_executes_no_more(drawn, data):
    build, found, selection = drawn
    less = selected(build, data.draw(st.sets(st.sampled_from(sorted(found)))) if found else set())
    assert executed(build, selection) <= executed(build, less)
    assert selection.needed <= less.needed


@given(builds())
def test_an_empty_cache_is_like_none(build):
    assert select(build, keys_of(build), {}) == select_all(build)
