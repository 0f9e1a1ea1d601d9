"""Hands spans to OpenTelemetry's SDK, which sends them by OTLP from a thread of its own.

Its queue is bounded: a collector that is slow or down costs spans, and nothing else. The variables of
OpenTelemetry say where they go, with which headers and certificates, and how many are sampled.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from strake_operator.traces.spans import Span

SERVICE: Final = "strake-operator"
CLOSING_SECONDS: Final = 2.0
"""How long an operator that ends waits for spans on their way: the next one waits for its Lease."""


class Exporter:
    """Sends spans. OpenTelemetry is imported when one is made."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import IdGenerator

        class Given(IdGenerator):
            """Gives the next span the IDs that it has."""

            trace = span = 1

            def generate_trace_id(self) -> int:
                return self.trace

            def generate_span_id(self) -> int:
                return self.span

        self._ids = Given()
        resource = Resource.create()
        if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": SERVICE}))
        self._provider = TracerProvider(id_generator=self._ids, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("strake_operator")

    def send(self, spans: Iterable[Span]) -> None:
        """Queue the spans of a trace, each after its parent; wait for nothing."""
        from opentelemetry.context import Context
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        contexts: dict[int | None, Context] = {None: Context()}
        for each in spans:
            self._ids.trace, self._ids.span = each.trace, each.id
            made = self._tracer.start_span(
                each.name,
                context=contexts[each.parent],
                attributes=dict(each.attributes),
                start_time=_nanoseconds(each.began),
            )
            contexts[each.id] = set_span_in_context(made, Context())
            if each.failed is not None:
                made.set_status(Status(StatusCode.ERROR, each.failed))
            made.end(_nanoseconds(each.ended))

    def close(self) -> None:
        """Send what is queued, for a moment; what is left then is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)


def _nanoseconds(moment: datetime) -> int:
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1000
