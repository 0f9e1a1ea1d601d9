"""The platform's file as it is now. Kubernetes changes a mounted ConfigMap under a running operator.

It is read when a run starts, and not watched: the settings of a run that goes on never change. A file
that turned bad stops nobody: its settings before hold until it is mended, and the log says so.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from strake_operator.errors import SettingsError
from strake_operator.registries.reading import FILE_VARIABLE, INSECURE_VARIABLE, read_registries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_operator.registries.document import PlatformRegistries

logger = logging.getLogger(__name__)

_State = frozenset[tuple[str, str, int, int, int]]


class RegistriesSource:
    """What the platform says about registries.

    Args:
        path: the file; "" is none.
        insecure: registries that the environment names.

    Raises:
        SettingsError: what it says makes no sense.
    """

    def __init__(self, path: str = "", insecure: Iterable[str] = ()) -> None:
        self._path = path
        self._insecure = tuple(insecure)
        self._current, self._files = read_registries(path, self._insecure)
        self._seen: _State | None = _state(self._files)
        self._complaint = ""

    def current(self) -> PlatformRegistries:
        """Return what holds for a run that starts now."""
        state = _state(self._files)
        if state == self._seen:
            return self._current
        try:
            self._current, files = read_registries(self._path, self._insecure)
        except SettingsError as error:
            self._seen = None
            if str(error) != self._complaint:
                self._complaint = str(error)
                logger.error("the changed settings are not used, those before hold on: %s", error)  # noqa: TRY400 - no traceback
            return self._current
        # What changed while it was read is read once more the next time.
        self._seen = _state(files) if _state(self._files) == state else None
        self._files, self._complaint = files, ""
        logger.info("read %s again, which changed", self._path)
        return self._current


def open_registries(environment: Mapping[str, str]) -> RegistriesSource:
    """Return what environment variables name.

    Raises:
        SettingsError: what they name cannot be read or makes no sense.
    """
    insecure = environment.get(INSECURE_VARIABLE, "").replace(",", " ").split()
    return RegistriesSource(environment.get(FILE_VARIABLE, "").strip(), insecure)


def _state(files: Iterable[str]) -> _State:
    """Return what tells files from later ones of the same names."""
    found = set()
    for file in files:
        real = os.path.realpath(file)
        try:
            about = os.stat(real)
        except OSError:
            found.add((file, real, 0, 0, 0))
        else:
            found.add((file, real, about.st_ino, about.st_size, about.st_mtime_ns))
    return frozenset(found)
