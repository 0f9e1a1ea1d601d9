"""The cache keys of a whole build, computed before any step runs."""

from __future__ import annotations

from strake_builder.cache.definitions import FileStep, definition_of
from strake_builder.cache.keys import Key, Value, layers_state, occurrence_key, state_after, step_key
from strake_builder.frontend.model.planned import StageBase, StagePlan
from strake_builder.frontend.model.steps import AddStep, ConfigStep, CopyStep
from strake_builder.solve.caching.inputs import StepInputs, UnknowableError
from strake_builder.solve.caching.selection import StageKeys
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.spec.digest import DiffID


class StepKeys:
    """Makes keys for the steps of one build. Thread-safe.

    Args:
        build: the build.
        inputs: tells what steps read.
        form: what every layer depends on besides its step: compression, times.
    """

    def __init__(self, build: EvaluatedBuild, inputs: StepInputs, form: Value) -> None:
        self._build = build
        self._inputs = inputs
        self._form = form

    def by_definition(self) -> dict[int, StageKeys]:
        """Return the keys of every needed stage; contexts are read for it, nothing else is."""
        keys: dict[int, StageKeys] = {}
        for stage in self._build.plan.stages:
            keys[stage.index] = self._stage(stage, keys)
        return keys

    def by_content(self, stage: StagePlan, step: FileStep, lowers: tuple[DiffID, ...]) -> Key | None:
        """Return the key of a step over layers that are known and stages that are built.

        Args:
            stage: the step's.
            step: the step.
            lowers: diff IDs of its lower layers.
        """
        try:
            inputs = self._inputs.by_content(step, stage.platform)
        except UnknowableError:
            return None
        return step_key(_lower_state(step, layers_state(lowers)), self._definition(stage, step), inputs)

    def occurrence(self, stage: StagePlan, step: FileStep) -> Key | None:
        """Return the key that says whether a step was ever cached, whatever it stood on."""
        try:
            inputs = self._inputs.without_stages(step, stage.platform)
        except UnknowableError:
            return None
        return occurrence_key(self._definition(stage, step), inputs)

    def _stage(self, stage: StagePlan, known: dict[int, StageKeys]) -> StageKeys:
        state = self._base_state(stage, known)
        states = {index: keys.state for index, keys in known.items()}
        keys: list[Key | None] = []
        for step in self._build.stages[stage.index].steps:
            key = None
            if not isinstance(step, ConfigStep) and state is not None:
                try:
                    inputs = self._inputs.by_definition(step, stage.platform, states)
                except UnknowableError:
                    state = None
                else:
                    key = step_key(_lower_state(step, state), self._definition(stage, step), inputs)
                    state = state_after(state, key)
            keys.append(key)
        return StageKeys(tuple(keys), state)

    def _base_state(self, stage: StagePlan, known: dict[int, StageKeys]) -> Key | None:
        if isinstance(stage.base, StageBase):
            return known[stage.base.index].state
        image = self._build.images.get(stage.index)
        return layers_state(tuple(layer.diff_id for layer in image.layers) if image else ())

    def _definition(self, stage: StagePlan, step: FileStep) -> Value:
        return (str(stage.platform), self._form, definition_of(step))


def _lower_state(step: FileStep, state: Key) -> Key | None:
    """Return the state that a step's result depends on: `--link` needs none."""
    return None if isinstance(step, CopyStep | AddStep) and step.link else state
