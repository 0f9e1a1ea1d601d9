"""The CloudEvent about a run: its attributes, what it tells, and a signature that the docs' snippet verifies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from strake_api.status import Phase, Run
from strake_operator.cloudevents.event import cloud_event, signed_headers

DOCS = Path(__file__).parents[4] / "docs/events.md"
SUCCEEDED = Run(
    number=3,
    generation=2,
    trigger="Rerun",
    requested_by="kubectl",
    attempts=1,
    phase=Phase.SUCCEEDED,
    reason="Pushed",
    image="registry.example/app@sha256:1",
    digest="sha256:1",
    start_time="2026-05-01T10:00:00Z",
    completion_time="2026-05-01T10:01:00Z",
)
FAILED = Run(number=4, generation=2, phase=Phase.FAILED, reason="RunStepFailed")
KEY = b"0123456789abcdef"


def event(run=SUCCEEDED):
    return cloud_event("/here", "team", "app", "uid-1", run)


def test_an_event_has_the_attributes_of_cloudevents():
    assert json.loads(event().body) == {
        "specversion": "1.0",
        "id": "uid-1-3",
        "source": "/here",
        "type": "dev.strake.imagebuild.succeeded",
        "subject": "team/app",
        "time": "2026-05-01T10:01:00Z",
        "datacontenttype": "application/json",
        "data": {
            "apiVersion": "strake.dev/v1alpha1",
            "kind": "ImageBuild",
            "namespace": "team",
            "name": "app",
            "uid": "uid-1",
            "run": 3,
            "generation": 2,
            "trigger": "Rerun",
            "requestedBy": "kubectl",
            "attempts": 1,
            "phase": "Succeeded",
            "reason": "Pushed",
            "image": "registry.example/app@sha256:1",
            "digest": "sha256:1",
            "startTime": "2026-05-01T10:00:00Z",
            "completionTime": "2026-05-01T10:01:00Z",
        },
    }


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("RunStepFailed", "failed"),
        ("TimedOut", "failed"),
        ("Cancelled", "cancelled"),
        ("Superseded", "cancelled"),
    ],
)
def test_a_type_tells_how_a_run_ended(reason, kind):
    made = event(FAILED.model_copy(update={"reason": reason}))
    assert json.loads(made.body)["type"] == f"dev.strake.imagebuild.{kind}"


def test_nothing_that_is_unknown_is_told():
    made = json.loads(event(FAILED).body)
    assert "time" not in made
    assert set(made["data"]).isdisjoint({"image", "digest", "startTime"})


def test_a_status_that_was_written_by_hand_makes_no_long_event():
    made = event(SUCCEEDED.model_copy(update={"image": "x" * 10**6, "requested_by": "\ud800\x00" * 10**5}))
    assert len(made.body) < 20_000
    assert len(json.loads(made.body)["data"]["image"]) == 1024


def verify():
    """Return the function that the docs show to receivers."""
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict = {}
    exec(snippet, names)
    return names["verify"]


@pytest.fixture
def headers():
    return signed_headers(event(), [b"another-key-of-some-length", KEY], 1_000)


def test_the_snippet_of_the_docs_verifies_an_event(headers):
    assert verify()(headers, event().body, KEY, now=1_010)["id"] == "uid-1-3"


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{}"},
        {"key": b"wrong-wrong-wrong"},
        {"now": 2_000},
        {"now": 0},
        {"webhook-id": "uid-1-4"},
        {"webhook-timestamp": "1001"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2,aaaa v1"},
    ],
    ids=str,
)
def test_the_snippet_of_the_docs_refuses_what_was_changed(headers, change):
    given = {"body": event().body, "key": KEY, "now": 1_010} | {
        k: v for k, v in change.items() if k in {"body", "key", "now"}
    }
    changed = headers | {k: v for k, v in change.items() if k.startswith("webhook")}
    with pytest.raises(ValueError, match=r"signature|old"):
        verify()(changed, given["body"], given["key"], now=given["now"])
