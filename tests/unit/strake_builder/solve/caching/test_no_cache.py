"""A build without a cache executes everything, and counts it."""

from __future__ import annotations

from strake_builder.frontend.model.steps import CopyStep
from strake_builder.solve.caching.no_cache import NoStepResults
from strake_builder.solve.caching.step_caching import StepResults
from strake_builder.solve.images.layers import StepLayer
from tests.fixtures.narrow import instance
from tests.unit.strake_builder.solve.builds import CREATED, build_of

BUILD = build_of("FROM scratch\nCOPY a /\nCOPY b /")
[STAGE] = BUILD.plan.stages
STEPS = BUILD.stages[0].steps


def test_nothing_is_found():
    results: StepResults = NoStepResults(BUILD)
    assert results.selection.hits == {0: ()}
    assert results.definition_key(0, 0) is None
    assert results.by_content(STAGE, instance(STEPS[0], CopyStep), ()) is None


def test_executed_steps_are_counted():
    results = NoStepResults(BUILD)
    for position, step in enumerate(STEPS):
        results.keep(STAGE, position, step, (), StepLayer("upper", None), CREATED)
    results.finish()
    assert results.run == 2
    assert results.used == ()
