"""`kubectl strake ui` beside a cluster: a build from its first step to its layers, in a real Chromium."""

from __future__ import annotations

import subprocess

import pytest

from tests.browser.chromium import Chromium, running_chromium
from tests.cluster.objects import apply
from tests.cluster.settings import KUBECONFIG, REGISTRY
from tests.e2e.builds import finished, gated, manifest
from tests.fixtures.building.builds import STRAKE


@pytest.fixture
def browser(tmp_path):
    with running_chromium(tmp_path / "chromium") as running:
        yield running


def test_a_build_is_watched_from_its_step_to_its_layers(namespace: str, browser: Chromium):
    text, open_gate = gated(namespace)
    apply(manifest(text + "RUN echo hello > /greeting; echo wrote hello\n"), namespace)
    command = [str(STRAKE), "ib", "ui", "--no-browser", "--insecure-registry", REGISTRY]
    variables = {"KUBECONFIG": str(KUBECONFIG), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            entrance = server.stdout.readline().strip()
            url, build = entrance.partition("/?")[0], f"/builds/{namespace}/app"
            browser.open(entrance)
            browser.until("return document.querySelector(`a[href='${arguments[0]}']`) !== null", build)
            browser.open(f"{url}{build}")
            browser.until("return /RUN until wget/.test(document.getElementById('steps').innerText)")
            browser.open(f"{url}{build}/runs/1")
            browser.until("return /RUN until wget/.test(document.getElementById('log').innerText)")
            browser.run("window.same = true")
            open_gate()
            browser.until("return /wrote hello/.test(document.getElementById('log').innerText)")
            browser.until("return document.getElementById('log-state').innerText === 'The run has ended.'")
            assert browser.run("return window.same"), "the page was not read again"
            status = finished(namespace)
            browser.open(f"{url}{build}/image")
            shown = browser.text()
            assert status["digest"] in shown
            assert "https://slsa.dev/provenance/v1" in shown
            assert browser.run("return document.querySelectorAll('tbody tr').length") >= 2
            assert browser.hindrances() == []
        finally:
            browser.open("about:blank")  # no page's event stream delays the server's end
            server.terminate()
