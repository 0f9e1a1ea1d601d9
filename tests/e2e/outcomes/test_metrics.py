"""What a platform's Prometheus finds at the operator's pod, and the kubelet's readiness probe."""

from __future__ import annotations

import json
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.kubectl import kubectl
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build

OPERATOR = "app.kubernetes.io/name=strake-operator"


def operator() -> dict:
    found = json.loads(kubectl("get", "pods", "-n", NAMESPACE, "-l", OPERATOR, "-o", "json"))
    return next(pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"])


def test_a_build_is_counted(namespace):
    status = build(namespace, "FROM TINY\nRUN true\n")
    assert status["phase"] == "Succeeded", status
    address = operator()["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:8081/metrics", timeout=10) as answer:
        families = {each.name: each for each in text_string_to_metric_families(answer.read().decode())}
    runs = {
        sample.labels["reason"]: sample.value
        for sample in families["strake_runs"].samples
        if sample.labels.get("namespace") == namespace and sample.name.endswith("_total")
    }
    assert runs == {"Pushed": 1}
    moved = {each.labels["direction"]: each.value for each in families["strake_image_bytes"].samples}
    assert moved["pushed"] >= status["sizes"]["pushed"] > 0
    assert sum(sample.value for sample in families["strake_api_requests"].samples) > 0
    assert {c["status"] for c in operator()["status"]["conditions"] if c["type"] == "Ready"} == {"True"}
