"""Refuses a RUN without a network before any step runs, where the isolation cannot take one away."""

from __future__ import annotations

from strake_builder.errors import Location
from strake_builder.frontend.model.steps import RunStep
from strake_builder.isolation.chroot.sandbox import no_network_error
from strake_builder.isolation.ways import Isolation
from strake_builder.solve.planning.evaluation import EvaluatedBuild


def require_networks(evaluated: EvaluatedBuild, isolation: Isolation) -> None:
    """Make sure that every RUN of a build can have the network that it asks for.

    Raises:
        StepError: one cannot, with its location.
    """
    if isolation.way != "chroot":
        return
    for stage in evaluated.plan.stages:
        for step in evaluated.stages[stage.index].steps:
            if isinstance(step, RunStep) and step.network == "none":
                error, position = no_network_error(), step.origin
                error.location = Location(position.file, position.span.first, position.text)
                raise error
