"""Spans on their way: to a real receiver of OTLP over HTTP, and to one that is slow or gone."""

from __future__ import annotations

import gzip
import http.server
import threading
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strake_operator.traces.export import Exporter
from strake_operator.traces.spans import spans
from tests.fixtures.servers.proxy import serving
from tests.unit.strake_operator.traces.test_spans import LINES, START, timeline, traced


@pytest.fixture
def collector(monkeypatch):
    """Serve; yields the requests that came, decoded, with their headers and paths."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            requests.append((self.path, dict(self.headers), ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(listener):
        address = f"http://127.0.0.1:{listener.server_address[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield requests


def sent(collector):
    return [
        (resource, span)
        for _, _, request in collector
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_trace_arrives_as_it_is(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=platform")
    exporter = Exporter()
    made = spans(traced(), timeline(*LINES))
    exporter.send(made)
    exporter.close()
    (path, headers, _), *_ = collector
    assert path == "/v1/traces"
    assert headers["x-team"] == "platform"
    arrived = {span.name: span for _, span in sent(collector)}
    assert set(arrived) == {each.name for each in made}
    for each in made:
        span = arrived[each.name]
        assert int.from_bytes(span.trace_id, "big") == each.trace
        assert int.from_bytes(span.span_id, "big") == each.id
        assert int.from_bytes(span.parent_span_id, "big") == (each.parent or 0)
    running = arrived["running"]
    assert running.start_time_unix_nano == int(START.timestamp() + 2) * 10**9
    assert running.end_time_unix_nano == int(START.timestamp() + 10) * 10**9
    (resource, _), *_ = sent(collector)
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert attributes["service.name"] == "strake-operator"


def test_the_platform_may_call_the_service_otherwise(collector, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "builds")
    exporter = Exporter()
    exporter.send(spans(traced(), timeline()))
    exporter.close()
    (resource, _), *_ = sent(collector)
    names = [each.value.string_value for each in resource.resource.attributes if each.key == "service.name"]
    assert names == ["builds"]


def test_the_platform_may_sample(collector, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    exporter = Exporter()
    exporter.send(spans(traced(), timeline(*LINES)))
    exporter.close()
    assert sent(collector) == []


def test_a_collector_that_does_not_answer_costs_spans_and_nothing_else(monkeypatch):
    release = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            release.wait(60)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    with serving(listener):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listener.server_address[1]}")
        exporter = Exporter()
        began = time.monotonic()
        for number in range(1, 500):
            exporter.send(spans(traced(number=number), timeline(*LINES)))
        queued = time.monotonic() - began
        exporter.close()
        ended = time.monotonic() - began - queued
        release.set()
        for thread in threading.enumerate():
            if thread.name == "traces-end":
                thread.join()
    assert queued < 10, "nobody waits for the collector"
    assert ended < 5, "nor at the end"
