"""`kubectl strake ui` in a real Chromium, with a cluster that is only its API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import ENTER, TAB, Chromium, running_chromium
from tests.browser.screenshots import IMAGES, PICTURES, take
from tests.browser.shown import LOG, fill, running_ui
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.api_server import ApiServer, running_api_server
from tests.unit.strake_kubectl.conftest import failed, pod

LINES = LOG.count(b"\n")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Chromium]:
    with running_chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with running_api_server() as running:
        fill(running)
        yield running


@pytest.fixture
def ui(api: ApiServer, browser: Chromium, tmp_path: Path) -> Iterator[str]:
    """Start the program and let the browser in; return the server's URL."""
    with running_ui(api, browser, tmp_path) as url:
        yield url


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
    assert "RUN /api selftest" in browser.text()
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
    browser.until("return document.querySelectorAll('#log div').length === arguments[0]", LINES)
    browser.run("window.same = true")
    api.logs["api-1"] = LOG + b"#9 | <b>passed</b> \x1b[32mall\x1b[0m\n"
    browser.until("return document.querySelectorAll('#log div').length === arguments[0]", LINES + 1)
    assert f"{LINES + 1} #9 | <b>passed</b> all" in browser.text()
    last = "return document.querySelector('#log div:last-child .fg2').innerText"
    assert browser.run(last) == "all"
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


def test_the_pictures_of_the_documentation_can_be_made(ui, browser, tmp_path):
    (tmp_path / "images").mkdir()
    take(browser, ui, tmp_path / "images")
    made = {each.stem for each in (tmp_path / "images").iterdir()}
    assert made == set(PICTURES) == {each.stem for each in IMAGES.iterdir()}
    page = (IMAGES.parent / "ui.md").read_text()
    assert all(f"images/{name}.png" in page for name in PICTURES)
