"""Traces go nowhere unless OpenTelemetry's variables say where."""

from __future__ import annotations

import subprocess
import sys

import pytest

from strake_operator.errors import SettingsError
from strake_operator.traces.settings import traces_wanted

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (COLLECTOR, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        (COLLECTOR | {"OTEL_SDK_DISABLED": "true"}, False),
        (COLLECTOR | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_an_endpoint_turns_traces_on(environment, wanted):
    assert traces_wanted(environment) is wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "collector:4317"},
    ],
)
def test_what_cannot_be_done_is_refused(changes):
    (name,) = changes
    with pytest.raises(SettingsError, match=f"^{name} must be "):
        traces_wanted(COLLECTOR | changes)


def test_the_library_is_imported_only_where_it_is_wanted():
    program = "import strake_operator.main, sys; print('opentelemetry' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
