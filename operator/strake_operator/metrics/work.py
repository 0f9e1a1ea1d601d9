"""Numbers about the operator's own work: reconciles, its queue, requests to the API server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import aiohttp
from prometheus_client import Counter, Gauge, Histogram

from strake_operator.errors import ConflictError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import SimpleNamespace
    from typing import TypeVar

    from prometheus_client import CollectorRegistry

    Key = TypeVar("Key")

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class WorkMetrics:
    """The numbers about the operator's work.

    Args:
        registry: Where they are exposed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reconciles = Counter(
            "strake_reconciles",
            "Reconciles by result: ok, conflict (somebody else was quicker), error (of the cluster), "
            "internal (a mistake of the operator's: its log has the traceback).",
            ["result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "strake_reconcile_seconds", "Duration of a reconcile.", buckets=_SECONDS, registry=registry
        )
        self._queue = Gauge(
            "strake_reconcile_queue", "ImageBuilds that wait to be reconciled.", registry=registry
        )
        self._leader = Gauge(
            "strake_leader", "1 for the operator that acts, 0 for one that stands by.", registry=registry
        )
        self._requests = Counter(
            "strake_api_requests",
            "Requests to the API server, without the watches', by the code of the answer; "
            "none where no answer came.",
            ["verb", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "strake_api_request_seconds",
            "Until the API server's answer began.",
            ["verb"],
            buckets=_SECONDS,
            registry=registry,
        )

    def leads(self, leads: Callable[[], bool]) -> None:
        """Have it read whether this operator has the Lease."""
        self._leader.set_function(lambda: float(leads()))

    def queue_depth(self, depth: Callable[[], int]) -> None:
        """Have the queue's depth read from it."""
        self._queue.set_function(depth)

    def counted(
        self, reconcile: Callable[[Key], Awaitable[float | None]]
    ) -> Callable[[Key], Coroutine[object, object, float | None]]:
        """Return a function that reconciles, and counts."""

        async def counting(key: Key) -> float | None:
            result = "internal"
            try:
                with self._seconds.time():
                    again = await reconcile(key)
                result = "ok"
            except ConflictError:
                result = "conflict"
                raise
            except OperatorError:
                result = "error"
                raise
            finally:
                self._reconciles.labels(result).inc()
            return again

        return counting

    def requests(self) -> aiohttp.TraceConfig:
        """Return what counts the requests of an HTTP session."""
        trace = aiohttp.TraceConfig()

        async def begun(_: object, context: SimpleNamespace, __: object) -> None:
            context.begun = time.monotonic()

        async def answered(
            _: object, context: SimpleNamespace, answer: aiohttp.TraceRequestEndParams
        ) -> None:
            self._requests.labels(answer.method, str(answer.response.status)).inc()
            self._request_seconds.labels(answer.method).observe(time.monotonic() - context.begun)

        async def failed(_: object, __: object, request: aiohttp.TraceRequestExceptionParams) -> None:
            self._requests.labels(request.method, "none").inc()

        trace.on_request_start.append(begun)
        trace.on_request_end.append(answered)
        trace.on_request_exception.append(failed)
        return trace
