"""What a build, its steps and its author write to the terminal of a person who asks about it: shown, never obeyed.

Each escape arrives where texts are taken as they are.
"""

from __future__ import annotations

import json

import pytest

from strake_kubectl import following
from strake_kubectl.view import description, table
from tests.attack.test_terminal import ESCAPES
from tests.fixtures.servers.api_server import status
from tests.unit.strake_kubectl.conftest import api, failed, pod, strake

__all__ = ["api", "strake"]
COMMANDS = (
    ("get",),
    ("get", "-o", "wide"),
    ("get", "-o", "json"),
    ("get", "-o", "yaml"),
    ("top",),
    ("describe", "api"),
    ("logs", "api"),
    ("wait", "api"),
    ("rerun", "api"),
)


@pytest.fixture(
    params=[name for name in ESCAPES if name != "invalid"]
)  # JSON of an API server is valid UTF-8
def escape(request, api):
    """Have the escape in everything that others write."""
    text = ESCAPES[request.param]
    failure = {
        "reason": "RunStepFailed",
        "message": text,
        "logTail": text,
        "instruction": text,
        "file": text,
        "line": 1,
    }
    build = failed(message=text, failure=failure, warnings=[text], job=text, progress=text, image=text)
    build["spec"]["source"]["git"] = {"url": text, "ref": text}
    api.put(build)
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = json.dumps(text).encode() + text.encode(errors="surrogateescape")
    api.refusals["PATCH", "/api"] = (403, status("Forbidden", text, name="api"))
    return text


def obeyed(text: str) -> set[str]:
    """Return the characters of a text that a terminal acts on."""
    return {each for each in text if not each.isprintable() and each != "\n"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("escape")
def test_no_command_passes_it_on(strake, words):
    done = strake(*words)
    assert obeyed(done.out + done.err) == set()


@pytest.mark.usefixtures("escape")
def test_they_do_where_texts_are_taken_as_they_are(strake, monkeypatch):
    for module in (table, description, following):
        monkeypatch.setattr(module, "visible", lambda text: text.encode(errors="replace").decode())
    for words in (("get", "-o", "wide"), ("describe", "api"), ("logs", "api")):
        done = strake(*words)
        assert obeyed(done.out), words
