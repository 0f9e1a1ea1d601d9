"""A receiver of the platform's hears of the end of runs, also when it was down meanwhile and the operator died."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import secrets

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import NODE_IP
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, status_of, until
from tests.fixtures.servers.proxy import serving

KEY = secrets.token_hex(32)


@pytest.fixture
def receiver():
    """Serve; yields its address, what it received, and its answers: the last one again and again."""
    received, answers = [], [204]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            received.append((answer, dict(self.headers), body))
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer((NODE_IP, 0), Handler)
    with serving(listener):
        yield f"http://{NODE_IP}:{listener.server_address[1]}/T0KEN", received, answers


@pytest.fixture
def told(platform, receiver):
    """Have the operator tell the receiver; yields what it received, and its answers."""
    url, received, answers = receiver
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "strake-events"},
        "stringData": {"key": KEY},
    }
    apply(secret, NAMESPACE)
    with platform.changed(STRAKE_EVENTS_URL=url, STRAKE_EVENTS_PLAIN_HTTP="allowed"):
        yield received, answers


def test_an_event_that_nobody_took_is_delivered_by_the_next_operator(namespace, alone, told):
    received, answers = told
    answers[:] = [503]
    status = build(namespace, "FROM TINY\nRUN true\n")
    assert status["phase"] == "Succeeded", status
    until(lambda: received, "a request that fails", lambda: received)
    assert status_of(namespace)["undelivered"] == [1]
    kubectl("delete", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=strake-operator", "--force")
    answers[:] = [204]
    until(lambda: "undelivered" not in status_of(namespace), "the delivery", lambda: status_of(namespace))

    _, headers, body = next(each for each in received if each[0] == 204)
    assert {each for _, _, each in received} == {body}, "the same bytes each time"
    event = json.loads(body)
    assert event["type"] == "dev.strake.imagebuild.succeeded"
    assert event["subject"] == f"{namespace}/app"
    assert (event["data"]["image"], event["data"]["digest"]) == (status["image"], status["digest"])
    signed = f"{event['id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
