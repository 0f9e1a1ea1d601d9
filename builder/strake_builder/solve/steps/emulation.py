"""Makes sure that RUN of another architecture has an emulator, and says what is missing where it has none.

Everything but RUN is the same for all architectures and needs no emulator: an image for another platform
whose programs are compiled by a stage of this one is built anywhere.
"""

from __future__ import annotations

import threading

from strake_builder.errors import Location, UnsupportedError
from strake_builder.frontend.model.steps import RunStep
from strake_builder.sandbox.emulation import Foreign, runs_here
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.spec.platform import Platform
from strake_oci.spec.platform import host as host_platform


class ForeignPrograms:
    """Asks for each architecture once. Thread-safe.

    Args:
        directory: where a program can be tried.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._known = {host_platform().architecture: Foreign.RUNS}

    def require(self, platform: Platform) -> None:
        """Make sure that programs of a platform run here.

        Raises:
            UnsupportedError: they do not.
        """
        architecture = platform.architecture
        with self._lock:
            if architecture not in self._known:
                self._known[architecture] = runs_here(architecture, self._directory)
            found = self._known[architecture]
        if found is Foreign.RUNS:
            return
        here = host_platform()
        if found is Foreign.EMULATOR_OUTSIDE:
            raise UnsupportedError(
                f"the emulator for {platform} is not registered for use in containers",
                hint="register it with binfmt_misc's flag F: it is then opened before a step's root hides it",
            )
        raise UnsupportedError(
            f"this machine is {here} and does not run programs for {platform}",
            hint="let RUN be of this platform (FROM --platform=$BUILDPLATFORM), build on a node of its own, "
            "or have an emulator registered with binfmt_misc and its flag F (Debian: qemu-user-static)",
        )

    def require_all(self, evaluated: EvaluatedBuild) -> None:
        """Make sure that every RUN of a build can be carried out.

        Raises:
            UnsupportedError: one cannot, with its location.
        """
        for stage in evaluated.plan.stages:
            for step in evaluated.stages[stage.index].steps:
                if isinstance(step, RunStep):
                    try:
                        self.require(stage.platform)
                    except UnsupportedError as error:
                        position = step.origin
                        error.location = Location(position.file, position.span.first, position.text)
                        raise
                    break
