"""What collects and shows the metrics names metrics that there are."""

import json
import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from strake_operator.metrics.deliveries import DeliveryMetrics
from strake_operator.metrics.runs import RunMetrics
from strake_operator.metrics.work import WorkMetrics
from strake_operator.settings.addresses import Addresses

ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "deploy/monitoring/grafana-dashboard.json").read_text())
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def metrics():
    registry = CollectorRegistry()
    RunMetrics(registry)
    WorkMetrics(registry)
    DeliveryMetrics(registry)
    return {each.name: each.type for each in registry.collect()}


def names():
    return {name + suffix for name, kind in metrics().items() for suffix in SUFFIXES[kind]}


def test_the_dashboard_asks_for_metrics_that_there_are():
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked = {name for text in expressions for name in re.findall(r"\bstrake_\w+", text)}
    assert asked <= names()
    shown = {name for name in metrics() if any(asked_name.startswith(name) for asked_name in asked)}
    assert shown == set(metrics()), "each metric has a panel"


def test_the_docs_list_every_metric():
    text = (ROOT / "docs/operator.md").read_text()
    rows = set(re.findall(r"^\| `(strake_\w+)` \|", text, re.MULTILINE))
    assert rows == {name + ("_total" if kind == "counter" else "") for name, kind in metrics().items()}


def test_the_pod_monitor_names_the_deployments_port_and_labels():
    monitor = yaml.safe_load((ROOT / "deploy/monitoring/podmonitor.yaml").read_text())["spec"]
    deployment = yaml.safe_load((ROOT / "deploy/operator.yaml").read_text())["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in deployment["spec"]["containers"][0]["ports"]}
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert ports[endpoint["port"]] == Addresses().metrics[1]
    assert monitor["selector"]["matchLabels"].items() <= deployment["metadata"]["labels"].items()
