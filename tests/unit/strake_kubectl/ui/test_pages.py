"""What a person reads in the pages of `kubectl strake ui`."""

from __future__ import annotations

import html
import re
import time

import pytest

from strake_kubectl.ui.image import ImageFacts, Statement
from strake_kubectl.ui.logs import Logs
from strake_kubectl.ui.pages import ROWS
from strake_kubectl.ui.report import report
from tests.fixtures.servers.api_server import status
from tests.unit.strake_kubectl.conftest import DIGEST, IMAGE, building, failed, imagebuild, pod, succeeded

LOG = b"""== steps: 3
#1/3 [build] FROM base  CACHED
#2/3 [build] RUN make
#2 | gcc -c main.c
#2 done in 4.2 s
#3/3 [build] RUN make test
"""


def text_of(page: str) -> str:
    """Return what a page says, its markup left out."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<main")[2]))


def until(reached, what: str):
    """Return what is reached in the end; the limit only catches hangs."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if found := reached():
            return found
        time.sleep(0.02)  # another thread works meanwhile
    raise AssertionError(f"never: {what}")


def test_the_list_has_the_builds_of_all_namespaces(api, open_ui):
    api.put(building("api", startTime="2026-11-29T10:00:00Z"))
    other = succeeded("web", startTime="2026-11-29T11:00:00Z")
    other["metadata"]["namespace"] = "shop"
    api.put(other)
    page = open_ui().browser.get("/").text
    assert "2 of 2 builds" in text_of(page)
    assert page.index('href="/builds/shop/web"') < page.index('href="/builds/team/api"')
    assert "Building" in text_of(page)
    assert "2/5" in text_of(page)


@pytest.mark.parametrize(
    ("query", "shown"),
    [("q=WEB", ["web"]), ("phase=Failed", ["web"]), ("namespace=none", []), ("q=r.example", ["db"])],
)
def test_the_list_is_searched(api, open_ui, query, shown):
    for build in (building("api"), failed("web"), succeeded("db")):
        api.put(build)
    page = open_ui().browser.get(f"/?{query}").text
    assert re.findall(r'href="/builds/team/(\w+)"', page) == shown


def test_who_may_not_list_all_sees_his_namespace_and_is_told(api, open_ui):
    api.put(building())
    api.refusals["GET", "/v1alpha1/imagebuilds"] = (403, status("Forbidden", "no"))
    page = text_of(open_ui().browser.get("/").text)
    assert "These are the builds of namespace team alone." in page
    assert "1 of 1 builds" in page


def test_a_change_in_the_cluster_is_shown_without_another_list(api, open_ui):
    api.put(building())
    ui = open_ui()
    before = ui.board.version(("team", "api"))
    api.put(failed())
    until(lambda: ui.board.version(("team", "api")) != before, "a change")
    assert "RunStepFailed" in ui.browser.get("/").text


def test_a_status_of_another_version_hides_no_other_build(api, open_ui):
    api.put(building())
    api.put(imagebuild("new", steps="many"))
    page = text_of(open_ui().browser.get("/").text)
    assert "1 builds have a status of another form" in page
    assert "api" in page


def test_the_queue_is_in_the_order_in_which_builds_start(api, open_ui):
    api.put(building())
    for name, position in (("second", 2), ("first", 1)):
        queue = {"position": position, "since": "2026-11-29T10:00:00Z", "reason": "ClusterLimit"}
        api.put(imagebuild(name, phase="Queued", queue=queue))
    page = open_ui().browser.get("/queue").text
    assert "Running: 1" in page
    assert "Waiting: 2" in page
    assert page.index("team/api") < page.index("team/first") < page.index("team/second")


def test_a_failed_build_tells_why_and_what_to_do(api, open_ui):
    failure = {
        "reason": "RunStepFailed",
        "message": "the command ended with 2",
        "file": "Dockerfile",
        "line": 7,
        "instruction": "RUN make",
        "logTail": "no rule",
    }
    ended = {"number": 3, "generation": 2, "phase": "Failed", "reason": "RunStepFailed"}
    api.put(failed(failure=failure, history=[ended], baseImages=[{"reference": "alpine", "digest": DIGEST}]))
    page = open_ui().browser.get("/builds/team/api").text
    for words in (
        "Dockerfile:7",
        "RUN make",
        "the command ended with 2",
        "no rule",
        "Try:",
        "alpine",
        DIGEST,
    ):
        assert words in page
    assert 'href="/builds/team/api/runs/3"' in page
    assert "Run again" in page
    assert "Cancel the run" not in page


def test_a_run_shows_its_steps_and_log(api, open_ui):
    api.put(failed())
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = LOG
    page = text_of(open_ui().browser.get("/builds/team/api/runs/3").text)
    assert "1 build FROM base from the cache" in page
    assert "2 build RUN make ran 4.2" in page
    assert "3 build RUN make test not ended" in page
    assert "6 of 6 lines" in page


def test_a_log_is_searched(api, open_ui):
    api.put(failed())
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = LOG
    page = text_of(open_ui().browser.get("/builds/team/api/runs/3", params={"q": "GCC"}).text)
    assert "1 of 6 lines that have “GCC”" in page
    assert "4 #2 | gcc -c main.c" in page
    assert "2 build RUN make ran 4.2" in page


def test_the_log_of_a_run_whose_pod_is_gone_is_the_one_that_was_kept(api, open_ui):
    ended = {"number": 2, "generation": 1, "phase": "Failed", "reason": "X", "log": "r.example/logs@sha256:1"}
    api.put(failed(history=[ended]))
    page = open_ui().browser.get("/builds/team/api/runs/2").text
    assert 'kept as <span class="fg2">r.example/logs@sha256:1</span>\\x1b[2J' in page


def test_a_run_that_nobody_knows_is_told(api, open_ui):
    api.put(failed())
    assert "api has no run 9" in open_ui().browser.get("/builds/team/api/runs/9").text


def test_each_part_of_a_run_for_several_platforms_has_its_steps(api, open_ui, cluster, images):
    api.put(succeeded())
    for number, part in enumerate(("source", "linux-amd64", "linux-arm64", "index")):
        name = f"api-{part}"
        api.pods.append(pod(name, created=f"2026-11-29T10:0{number}:00Z", part=part))
        api.logs[name] = LOG.replace(b"make", part.encode()) if "linux" in part else b"== pushing\n"
    images[IMAGE] = ImageFacts({"images": []}, ())
    static = report(cluster.get("api"), Logs(cluster, lambda name: [name]), images.__getitem__)
    for page in (open_ui().browser.get("/builds/team/api/runs/3").text, static):
        shown = text_of(page)
        order = ("linux-amd64 Steps", "RUN linux-amd64 test", "linux-arm64 Steps", "RUN linux-arm64 test")
        assert sorted(order, key=shown.index) == list(order)
        assert shown.count("Time between steps") == 2


def test_colours_of_a_step_are_in_the_log_and_in_the_end_of_its_output(api, open_ui):
    failure = {"reason": "RunStepFailed", "message": "m", "logTail": "\x1b[1;31merror\x1b[0m: no"}
    api.put(failed(failure=failure))
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = b"#1/1 [a] RUN make\n#1 | \x1b[32mok\x1b[0m\n"
    ui = open_ui()
    log = ui.browser.get("/builds/team/api/runs/3").text
    assert '<span class="line">2</span> #1 | <span class="fg2">ok</span></div>' in log
    assert '<span class="fg1 bold">error</span>: no\n' in ui.browser.get("/builds/team/api").text


def test_the_log_of_a_run_that_goes_on_comes_as_events(api, open_ui):
    api.put(building())
    api.pods.append(pod("api-1", state="running"))
    api.logs["api-1"] = LOG
    ui = open_ui()
    page = until(
        lambda: "RUN make test" in (got := ui.browser.get("/builds/team/api/runs/3").text) and got, "a log"
    )
    assert "The run goes on." in page
    assert "/builds/team/api/runs/3/events?q=&amp;after=6" in page
    assert "RUN make test" in ui.browser.get("/builds/team/api").text
    api.pods.clear()
    api.put(failed())
    events = ui.browser.get("/builds/team/api/runs/3/events?after=4").text
    assert '[5, [["", "#2 done in 4.2 s"]]], [6, [["", "#3/3 [build] RUN make test"]]]' in events
    assert "gcc" not in events
    assert events.endswith('event: end\ndata: ""\n\n')


def test_layers_and_provenance_are_those_of_the_registry(api, open_ui, images):
    layers = [{"mediaType": "layer", "digest": "sha256:l1", "size": 3_000_000}]
    entry = {
        "digest": DIGEST,
        "mediaType": "m",
        "platform": "linux/amd64",
        "size": 3_000_500,
        "created": None,
    }
    described = {"size": 3_000_500, "images": [{**entry, "layers": layers}]}
    images[IMAGE] = ImageFacts(described, (Statement("slsa", DIGEST, "sha256:s", '{"builder": 1}'),))
    api.put(succeeded())
    page = open_ui().browser.get("/builds/team/api/image").text
    for words in ("linux/amd64", "3.0 MB", "sha256:l1", "100 per cent", "slsa", "{&#34;builder&#34;: 1}"):
        assert words in page


def test_what_cannot_be_read_is_a_page_that_says_what_to_try(api, open_ui):
    api.put(succeeded())
    browser = open_ui().browser
    answer = browser.get("/builds/team/api/image")
    assert (answer.status_code, "strake login" in answer.text) == (502, True)
    assert browser.get("/builds/team/none").status_code == 404
    assert browser.get("/nothing").status_code == 404
    assert browser.get("/builds/team/api/rerun").status_code == 405


@pytest.mark.parametrize(("action", "build"), [("rerun", failed()), ("cancel", building())])
def test_a_form_asks_for_a_rerun_or_a_cancel(api, open_ui, action, build):
    api.put(build)
    browser = open_ui().browser
    token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/builds/team/api").text)
    assert token
    answer = browser.post(f"/builds/team/api/{action}", data={"csrf": token[1]})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/builds/team/api?asked={action}")
    assert f"strake.dev/{action}" in api.builds["team", "api"]["metadata"]["annotations"]
    page = text_of(browser.get(answer.headers["location"]).text)
    assert f"A {action} was asked for." in page
    assert "The operator has not acted on the last change yet." in page


@pytest.mark.parametrize("path", ["/static/ui.css", "/static/ui.js"])
def test_pages_bring_all_that_they_need(open_ui, path):
    answer = open_ui().browser.get(path)
    assert answer.status_code == 200
    assert "http" not in answer.text


def test_a_long_list_has_pages_that_keep_what_was_searched(api, open_ui):
    for number in range(ROWS + 1):
        api.put(succeeded(f"build-{number}"))
    browser = open_ui().browser
    first = browser.get("/?q=build&phase=Succeeded").text
    older = re.search(r'<a href="([^"]+)">Older</a>', first)
    assert older
    second = browser.get(html.unescape(older[1])).text
    assert "page 2 of 2" in second
    assert second.count('<th scope="row">') == 1
    assert 'value="build"' in second
