"""Numbers about CloudEvents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

RESULTS = ("delivered", "failed", "given_up")


class DeliveryMetrics:
    """The numbers about CloudEvents.

    Args:
        registry: Where they are exposed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._results = Counter(
            "strake_cloud_events",
            "Requests to the receiver of CloudEvents by result: delivered, failed (and tried again); "
            "given_up counts events that nobody took for a day.",
            ["result"],
            registry=registry,
        )
        for result in RESULTS:
            self._results.labels(result)
        self._waiting = Gauge(
            "strake_cloud_events_waiting", "CloudEvents that are on their way.", registry=registry
        )

    def result(self, result: str) -> None:
        """Count a request, or an event that is given up."""
        self._results.labels(result).inc()

    def waiting(self, waiting: Callable[[], int]) -> None:
        """Have the number of events on their way read from where they are."""
        self._waiting.set_function(waiting)
