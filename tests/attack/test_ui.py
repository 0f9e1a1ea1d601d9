"""What others do with the server of `kubectl strake ui`: other sites in the person's browser, other users of the
machine, and authors of what a page shows.

The server acts with the person's rights in the cluster. Each test shows beside the attack that the same request
without it succeeds.
"""

from __future__ import annotations

import re

import pytest

from strake_kubectl.ui import pages
from strake_kubectl.ui.image import ImageFacts, Statement
from strake_kubectl.ui.logs import Logs
from strake_kubectl.ui.report import report
from tests.unit.strake_kubectl.conftest import api, building, failed, pod
from tests.unit.strake_kubectl.ui.conftest import HOST, cluster, images, open_ui

__all__ = ["api", "cluster", "images", "open_ui"]
MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"
HIDDEN = "\u202eevil\x1b[2J\x00"


@pytest.fixture
def ui(api, open_ui):
    api.put(failed())
    return open_ui()


@pytest.mark.parametrize("path", ["/", "/queue", "/builds/team/api", "/events", "/static/ui.js", "/nothing"])
def test_without_the_token_nothing_is_told(ui, api, path):
    asked = len(api.asked)
    answer = ui.stranger().get(path)
    assert answer.status_code == 403
    assert "team" not in answer.text
    assert [each for each in api.asked[asked:] if "watch" not in each] == []
    assert ui.browser.get("/builds/team/api").status_code == 200


@pytest.mark.parametrize("token", ["", "x", "%00", "\u00e9"])
def test_a_guessed_token_opens_nothing(ui, token):
    stranger = ui.stranger()
    stranger.get("/", params={"token": token})
    assert stranger.get("/").status_code == 403
    assert (
        stranger.get("/", headers={"Cookie": f"{ui.access.cookie}={token.encode().hex()}"}).status_code == 403
    )
    stranger.get("/", params={"token": ui.access.token})
    assert stranger.get("/").status_code == 200


def test_what_a_browser_is_started_with_opens_the_server_a_single_time(ui):
    token = ui.access.once()
    first, second = ui.stranger(), ui.stranger()
    first.get("/", params={"token": token})
    second.get("/", params={"token": token})
    assert (first.get("/").status_code, second.get("/").status_code) == (200, 403)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8090", "127.0.0.1", f"{HOST}.evil.example", ""]
)
def test_a_name_that_was_rebound_to_the_server_reaches_nothing(ui, host):
    for path in (f"/?token={ui.access.token}", "/", "/builds/team/api"):
        answer = ui.browser.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert "set-cookie" not in answer.headers
    assert ui.browser.get("/", headers={"Host": "localhost:8090"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of the same machine
    ],
)
def test_another_site_changes_nothing(ui, api, headers):
    form = {"csrf": ui.access.csrf}
    assert ui.browser.post("/builds/team/api/rerun", data=form, headers=headers).status_code == 403
    assert not any(each.startswith("PATCH") for each in api.asked)
    assert ui.browser.post("/builds/team/api/rerun", data=form).status_code == 303


@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "x"}, {"csrf": ["", "x"]}, {"csrf": "x" * 5000}])
def test_a_form_of_another_site_changes_nothing(ui, api, form):
    assert ui.browser.post("/builds/team/api/rerun", data=form).status_code in {403, 413}
    assert ui.browser.get("/builds/team/api/rerun", params={"csrf": ui.access.csrf}).status_code == 405
    assert not any(each.startswith("PATCH") for each in api.asked)


@pytest.mark.parametrize("path", ["/", "/queue", "/builds/team/api", "/static/ui.js", "/nothing"])
def test_every_answer_forbids_other_scripts_frames_and_copies(ui, path):
    for answer in (ui.browser.get(path), ui.stranger().get(path)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script>|<script [^>]*>[^<]|\son\w+=|\sstyle=", answer.text)


def test_a_script_of_another_page_reads_no_cookie(ui):
    answer = ui.stranger().get("/", params={"token": ui.access.token})
    assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")


def hostile(text: str):
    failure = {"reason": text, "message": text, "logTail": text, "instruction": text, "file": text, "line": 1}
    ended = {"number": 3, "generation": 2, "phase": "Failed", "reason": text, "digest": text}
    build = failed(
        reason=text,
        message=text,
        failure=failure,
        warnings=[text],
        job=text,
        progress=text,
        image=text,
        history=[ended],
        baseImages=[{"reference": text, "digest": text}],
        platforms=[{"platform": text, "digest": text}],
        parts=[{"name": text, "message": text}],
    )
    build["spec"]["source"]["git"] = {"url": f"javascript:{text}", "ref": text}
    build["spec"]["output"]["destinations"] = [text]
    return build


PATHS = (
    "/",
    "/queue",
    "/builds/team/api",
    "/builds/team/api/runs/3",
    "/builds/team/api/image",
    f"/?q={MARKUP}",
)


@pytest.fixture
def written(api, cluster, open_ui, images):
    """Return all pages that show what an author, a step and an operator's status hold."""

    def pages_with(text: str) -> list[str]:
        api.put(hostile(text))
        going = building("b", progress=text, queue={"since": text, "reason": text})
        api.put(going)
        api.pods.append(pod("api-1"))
        api.logs["api-1"] = f"#1/1 [{text}] RUN {text}\n#1 | {text}\n".encode()
        ui = open_ui()
        images[text] = ImageFacts(
            {"size": 1, "images": [{"digest": text, "mediaType": text, "platform": text, "created": text}]},
            (Statement(text, text, text, text),),
        )
        static = report(cluster.get("api"), Logs(cluster, lambda name: [name]), images.__getitem__)
        return [*(ui.browser.get(path).text for path in PATHS), static]

    return pages_with


def test_text_of_others_is_never_markup(written):
    for page in written(MARKUP):
        assert "<img" not in page
        assert "<script>" not in page
        assert 'href="javascript' not in page


def test_it_is_where_nothing_is_escaped(written, monkeypatch):
    compiled = pages._environment().cache
    assert compiled is not None
    monkeypatch.setattr(pages._environment(), "autoescape", False)
    compiled.clear()
    try:
        assert any("<img src=x onerror" in page for page in written(MARKUP))
    finally:
        compiled.clear()


COLOURS = (
    "\x1b[30;40mhidden",
    "\x1b[8mhidden",
    "\x1b[38;5;16;48;5;16mhidden",
    '\x1b[31"><script>alert(1)</script>mhidden',
    "\x1b[31;1mhidden\x1b[1A\x1b[2K",
    "\x1b]8;;javascript:alert(1)\x07hidden\x1b]8;;\x07",
    "\x1b[0;" + "9" * 900 + "mhidden",
)
STYLES = re.compile(r'<span class="((?:(?:fg|on)[0-7]|bold|faint|italic|underlined| )+)">')


@pytest.mark.parametrize("text", COLOURS)
def test_colours_of_a_step_are_colours_alone(written, text):
    """Nothing but a class of the style sheet comes of a sequence; the end of a failed step's output has colours, too."""
    pages = [page for page in written(text) if "hidden" in page]
    assert len(pages) > 3
    for page in pages:
        classes = {*re.findall(r'<span class="([^"]*)">', page)} - {"line", "reason"}
        plain = STYLES.sub("", page)
        assert all(
            re.fullmatch("state .*|((fg|on)[0-7]|bold|faint|italic|underlined| )+", each) for each in classes
        )
        assert not {"\x1b", "\x07"} & set(page)
        assert "hidden" in plain
        assert "<script>" not in plain
        assert 'href="javascript' not in plain


def test_text_of_others_neither_hides_nor_reorders(written):
    for page in written(HIDDEN):
        assert not {"\u202e", "\x1b", "\x00"} & set(page)
