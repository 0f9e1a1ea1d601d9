"""A collector of the platform's gets one trace of a run, from its Job to its push, and builders send it nothing."""

from __future__ import annotations

import gzip
import http.server

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, until
from tests.fixtures.servers.proxy import serving


@pytest.fixture
def collected(platform):
    """Have the operator trace; yields the spans that came."""
    spans: list = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer((NODE_IP, 0), Handler)
    with serving(listener):
        url = f"http://{NODE_IP}:{listener.server_address[1]}"
        with platform.changed(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="500"):
            yield spans


def attribute(span, key: str) -> str | None:
    return next((each.value.string_value for each in span.attributes if each.key == key), None)


def test_a_run_is_one_trace(namespace, alone, collected):
    status = build(namespace, "FROM TINY\nRUN sleep 2\nCOPY Dockerfile /\n")
    assert status["phase"] == "Succeeded", status

    def arrived() -> list:
        roots = [each for each in collected if attribute(each, "k8s.namespace.name") == namespace]
        return [each for each in collected if roots and each.trace_id == roots[0].trace_id]

    until(lambda: "step COPY" in {each.name for each in arrived()}, "the trace", lambda: collected)
    spans = {each.name: each for each in arrived()}
    assert {"run", "starting", "running", "phase Building", "phase Pushing", "step RUN"} <= set(spans)
    assert attribute(spans["run"], "strake.image.digest") == status["digest"]
    assert attribute(spans["step RUN"], "strake.step.instruction") == "RUN sleep 2"
    assert spans["step RUN"].end_time_unix_nano - spans["step RUN"].start_time_unix_nano >= 2 * 10**9
    assert spans["step RUN"].parent_span_id == spans["running"].span_id
    assert spans["running"].parent_span_id == spans["run"].span_id
