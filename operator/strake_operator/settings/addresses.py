"""Where the operator listens: its health for the kubelet, its numbers for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIVENESS_VARIABLE: Final = "STRAKE_LIVENESS"
METRICS_VARIABLE: Final = "STRAKE_METRICS"
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the operator listens.

    Attributes:
        liveness: URL at which it answers as long as its event loop turns.
        metrics: Host and port of `/metrics` and `/readyz`.
    """

    liveness: str = "http://0.0.0.0:8080/healthz"
    metrics: tuple[str, int] = ("0.0.0.0", 8081)  # noqa: S104 - the pod's own address


def read_addresses(environment: Mapping[str, str]) -> Addresses:
    """Return the addresses that environment variables give.

    Raises:
        SettingsError: A variable has a value that makes no sense.
    """
    usual = Addresses()
    liveness = environment.get(LIVENESS_VARIABLE, "").strip() or usual.liveness
    text = environment.get(METRICS_VARIABLE, "").strip()
    if not text:
        return Addresses(liveness, usual.metrics)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise SettingsError(f"{METRICS_VARIABLE} must be address and port, as 0.0.0.0:8081, not {text!r}")
    return Addresses(liveness, (host.strip("[]"), int(port)))
