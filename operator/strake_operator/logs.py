"""The operator's own log: a line of text, or of JSON with the ImageBuild that it is about."""

from __future__ import annotations

import contextlib
import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEVEL_VARIABLE: Final = "STRAKE_LOG_LEVEL"
FORMAT_VARIABLE: Final = "STRAKE_LOG_FORMAT"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_NOISY: Final = ("kopf", "aiohttp.access")
_about: ContextVar[dict[str, str]] = ContextVar("strake_about", default={})  # noqa: B039 - never changed in place


@contextlib.contextmanager
def about(namespace: str, build: str) -> Iterator[None]:
    """Have what is logged in the context, by this task, carry the names of an ImageBuild."""
    before = _about.set({"namespace": namespace, "build": build})
    try:
        yield
    finally:
        _about.reset(before)


class JSONLines(logging.Formatter):
    """Formats a record as an object on one line, with namespace and build where they are known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_about.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up(environment: Mapping[str, str]) -> None:
    """Begin to log to standard error.

    Raises:
        SettingsError: A variable has a value that makes no sense.
    """
    level = environment.get(LEVEL_VARIABLE, "").strip().upper() or "INFO"
    if level not in _LEVELS:
        raise SettingsError(f"{LEVEL_VARIABLE} must be one of {', '.join(_LEVELS)}, not {level!r}")
    form = environment.get(FORMAT_VARIABLE, "").strip() or "text"
    if form not in {"text", "json"}:
        raise SettingsError(f"{FORMAT_VARIABLE} must be text or json, not {form!r}")
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JSONLines() if form == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
