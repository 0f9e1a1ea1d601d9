"""Whether traces are wanted. Where to and how is for OpenTelemetry's own variables, which its SDK reads."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether the environment says where traces go.

    Raises:
        SettingsError: They would have to go by a protocol that this has not, or the library is not there.
    """
    named = [name for name in ENDPOINTS if environment.get(name, "").strip()]
    if not named or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    for name in PROTOCOLS:
        protocol = environment.get(name, "").strip()
        if protocol not in {"", _PROTOCOL}:
            raise SettingsError(f"{name} must be {_PROTOCOL}, not {protocol!r}")
    if not environment[named[0]].strip().startswith(("http://", "https://")):
        raise SettingsError(f"{named[0]} must be a URL as https://collector.example:4318")
    if find_spec("opentelemetry") is None:
        raise SettingsError(f"{named[0]} is set, and OpenTelemetry is not installed: install strake[traces]")
    return True
