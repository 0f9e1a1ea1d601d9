"""`kubectl strake ui` in a real Chromium, with a cluster that is only its API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import ENTER, TAB, Chromium, running_chromium
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.api_server import ApiServer, running_api_server
from tests.unit.strake_kubectl.conftest import DIGEST, building, failed, imagebuild, pod, succeeded

LOG = b"""== steps: 3
#1/3 [build] FROM base  CACHED
#2/3 [build] RUN make
#2 | gcc -c main.c
#2 done in 4.2 s
#3/3 [build] RUN make test
"""
HISTORY = [
    {"number": 3, "generation": 2, "phase": "Failed", "reason": "RunStepFailed"},
    {"number": 2, "generation": 2, "phase": "Succeeded", "reason": "Pushed", "digest": DIGEST},
]
FAILURE = {
    "reason": "RunStepFailed",
    "message": "the command ended with 2",
    "file": "Dockerfile",
    "line": 7,
    "instruction": "RUN make",
    "logTail": "no rule to make target",
}


COLOURED = LOG + b"".join(
    b"#3 | \x1b[%smcolour %s\x1b[0m\n" % (style, style)
    for style in (
        *(b"%d" % number for tens in (30, 40) for number in range(tens, tens + 8)),
        b"1",
        b"2",
        b"4",
        b"7",
    )
)
"""With every colour that a page can have."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Chromium]:
    with running_chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with running_api_server() as running:
        running.put(building("api", startTime="2026-11-29T10:00:00Z"))
        running.pods.append(pod("api-1", state="running"))
        running.logs["api-1"] = LOG
        base = [{"reference": "debian:12", "digest": DIGEST}]
        running.put(
            failed("web", failure=FAILURE, history=HISTORY, baseImages=base, warnings=["an old syntax"])
        )
        running.put(succeeded("db"))
        for number, part in enumerate(("linux-amd64", "linux-arm64")):
            made = pod(f"db-{part}", created=f"2026-11-29T10:0{number}:00Z", part=part)
            made["metadata"]["labels"]["strake.dev/uid"] = "uid-db"
            running.pods.append(made)
            running.logs[f"db-{part}"] = COLOURED
        queue = {"position": 1, "since": "2026-11-29T10:00:00Z", "reason": "ClusterLimit"}
        running.put(imagebuild("later", phase="Queued", queue=queue))
        yield running


@pytest.fixture
def ui(api: ApiServer, browser: Chromium, tmp_path: Path) -> Iterator[str]:
    """Start the program and let the browser in; return the server's URL."""
    variables = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "PATH": "/usr/bin:/bin"}
    command = [str(STRAKE), "ib", "ui", "--no-browser"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            entrance = server.stdout.readline().strip()
            assert entrance.startswith("http://127.0.0.1:")
            browser.open(entrance)
            browser.until("return document.title === 'Builds · Strake'")
            yield entrance.partition("/?")[0]
        finally:
            browser.open("about:blank")  # no page's event stream delays the server's end
            server.terminate()


def test_what_hinders_people_is_found(browser):
    browser.open("data:text/html,<title>x</title><img src=x><p style='color:silver'>faint</p>")
    assert {each.partition(":")[0] for each in browser.hindrances()} >= {
        "image-alt",
        "html-has-lang",
        "color-contrast",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_hinder_nobody(ui, browser, scheme):
    browser.prefer(scheme)
    for path in (
        "/",
        "/queue",
        "/builds/team/web",
        "/builds/team/api",
        "/builds/team/api/runs/3",
        "/builds/team/db/runs/3",
        "/nothing",
    ):
        browser.open(ui + path)
        assert browser.hindrances() == [], path
    told = [each for each in browser.complaints() if "/nothing" not in each and "favicon" not in each]
    assert told == []


def test_a_report_hinders_nobody_and_asks_for_nothing(browser, api, tmp_path):
    variables = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "PATH": "/usr/bin:/bin"}
    page = tmp_path / "web.html"
    api.pods.append(
        pod("web-3")
        | {
            "metadata": {
                **pod("web-3")["metadata"],
                "labels": {"strake.dev/uid": "uid-web", "strake.dev/run": "3"},
            }
        }
    )
    api.logs["web-3"] = LOG
    subprocess.run(
        [STRAKE, "ib", "ui", "--report", page, "web"], env=variables, check=True, capture_output=True
    )
    browser.open(page.as_uri())
    assert "RUN make test" in browser.text()
    assert browser.run("return getComputedStyle(document.querySelector('.state')).fontWeight") == "600"
    assert browser.hindrances() == []
    assert [each for each in browser.complaints() if "favicon" not in each] == []


def test_a_page_follows_what_happens_in_the_cluster(ui, browser, api):
    browser.open(f"{ui}/?phase=")
    browser.until("return document.getElementById('connection').innerText === 'Live'")
    browser.run("document.querySelector('a[href=\"/builds/team/api\"]').focus()")
    api.put(failed("api"))
    browser.until("return document.querySelectorAll('#builds .failed').length === 2")
    # The focus of a person with a keyboard stays where it was.
    assert browser.run("return document.activeElement.getAttribute('href')") == "/builds/team/api"


def test_a_log_grows_while_it_is_read(ui, browser, api):
    browser.open(f"{ui}/builds/team/api/runs/3")
    browser.until("return document.querySelectorAll('#log div').length === 6")
    browser.run("window.same = true")
    api.logs["api-1"] = LOG + b"#3 | <b>passed</b>\n"
    browser.until("return document.querySelectorAll('#log div').length === 7")
    assert "7 #3 | <b>passed</b>" in browser.text()
    api.pods.clear()
    api.put(failed("api"))
    browser.until("return document.getElementById('log-state').innerText === 'The run has ended.'")
    assert browser.run("return window.same")


def test_a_build_is_run_again_by_keyboard(ui, browser, api):
    browser.open(f"{ui}/builds/team/web")
    for _ in range(20):
        if browser.run("return document.activeElement.id") == "rerun":
            break
        browser.press(TAB)
    browser.press(ENTER)
    browser.until("return document.body.innerText.includes('A rerun was asked for.')")
    assert "strake.dev/rerun" in api.builds["team", "web"]["metadata"]["annotations"]
