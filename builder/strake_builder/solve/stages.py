"""Runs the stages of a build, each in a thread of its own, as soon as its base is ready."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from strake_builder import interrupt
from strake_builder.errors import BuildError, InternalError
from strake_builder.frontend.model.planned import StageBase
from strake_builder.solve.images.base import PulledImage
from strake_builder.solve.images.layers import ImageLayer
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_builder.solve.stage import StageExecutor, StageTools, StageUse
from strake_oci.cancellation import Cancellation


class StageRuns:
    """The stages of one build and how far they are. Thread-safe.

    Args:
        build: what to run.
        cancellation: stops the other stages when one fails.
        limit: stages that execute a step at the same time.
        image: whether the target's layers become an image.
        single_layer: whether the steps of each stage in it make one layer together.
        read: stages of whose files something else than their layers is made.
    """

    def __init__(
        self,
        build: EvaluatedBuild,
        cancellation: Cancellation,
        limit: int,
        *,
        image: bool = True,
        single_layer: bool = False,
        read: frozenset[int],
    ) -> None:
        self._single_layer = single_layer
        self._read = read
        self._build = build
        self._cancellation = cancellation
        self._exported = frozenset(build.chain(build.plan.target)) if image else frozenset[int]()
        self._slots = threading.BoundedSemaphore(limit)
        self._results: dict[int, Future[StageResult]] = {s.index: Future() for s in build.plan.stages}

    def layers(self, index: int) -> tuple[ImageLayer, ...]:
        """Wait for a stage and return its layers.

        Raises:
            BuildError: the stage failed.
        """
        return self._results[index].result().layers

    def run(self, tools: StageTools) -> StageResult:
        """Run everything the target needs and return the target's result.

        Raises:
            BuildError: the first failure; every thread has ended by then.
        """
        numbers = self._build.numbers()
        threads = []
        for stage in self._build.plan.stages:
            if stage.index not in tools.caching.results.selection.needed:
                continue
            executor = StageExecutor(
                tools,
                stage,
                self._build.stages[stage.index],
                numbers[stage.index],
                use=StageUse(
                    is_exported=stage.index in self._exported,
                    is_target=stage.index == self._build.plan.target,
                    is_read=stage.index in self._read,
                ),
                slots=self._slots,
            )
            thread = threading.Thread(
                target=self._one, args=(stage.index, executor), name=f"stage-{stage.label}"
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
        self._cancellation.check()
        return self._results[self._build.plan.target].result()

    def _one(self, index: int, executor: StageExecutor) -> None:
        future = self._results[index]
        try:
            base = self._base(index)
            with interrupt.interrupted_by(self._cancellation.check):
                future.set_result(self._run(index, executor, base))
        except BuildError as error:
            self._cancellation.cancel(error)
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - those who wait for the stage must hear of it
            self._cancellation.cancel(InternalError(f"{type(error).__name__}: {error}"))
            future.set_exception(error)

    def _run(self, index: int, executor: StageExecutor, base: StageResult) -> StageResult:
        if self._single_layer and index in self._exported:
            return executor.run_as_one(base)
        return executor.run(base)

    def _base(self, index: int) -> StageResult:
        base = self._build.plan.every_stage[index].base
        if isinstance(base, StageBase):
            return self._results[base.index].result()
        image = self._build.images.get(index)
        return StageResult(image.layers) if isinstance(image, PulledImage) else StageResult()
