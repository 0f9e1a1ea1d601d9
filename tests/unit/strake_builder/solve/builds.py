"""Builds over scratch, with a definition key for every step that changes files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.frontend.model.steps import ConfigStep
from strake_builder.solve.caching.selection import StageKeys
from strake_builder.solve.planning.evaluation import EvaluatedBuild, evaluate_all
from tests.unit.strake_builder.frontend.stages import planned

CREATED = datetime(2024, 1, 1, tzinfo=UTC)


def build_of(text: str) -> EvaluatedBuild:
    """Evaluate a Dockerfile whose stages are over scratch or each other."""
    return evaluate_all(planned(text), {})


def key(stage: int, position: int) -> Key:
    """Return the key that `keys_of` gives a step."""
    return Key(hashlib.sha256(f"{stage} {position}".encode()).hexdigest())


def keys_of(build: EvaluatedBuild, known: dict[int, int] | None = None) -> dict[int, StageKeys]:
    """Return keys for every step; in the stages of `known` for so many of the first steps alone."""
    keys = {}
    for index, stage in build.stages.items():
        limit = (known or {}).get(index, len(stage.steps))
        steps = tuple(
            None if isinstance(step, ConfigStep) or position >= limit else key(index, position)
            for position, step in enumerate(stage.steps)
        )
        keys[index] = StageKeys(steps, None)
    return keys


def result_of(found: Key) -> CachedStep:
    """Return a result that differs from those of other keys."""
    return CachedStep(None, CREATED, found.hex.encode())
