"""What the API server answers, distinguished by its Status: the code alone says too little."""

from __future__ import annotations

import json

import pytest
from kubernetes.aio import client

from strake_operator.errors import (
    ClusterError,
    ConflictError,
    ExistsError,
    NamespaceEndsError,
    NotFoundError,
    RefusedError,
)
from strake_operator.kube.answers import error_of


def answer(code, reason, message="words"):
    error = client.ApiException(status=code, reason="HTTP's word")
    error.body = json.dumps({"kind": "Status", "reason": reason, "message": message})
    return error_of(error, "creating Job team/x")


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (409, "AlreadyExists", ExistsError),
        # A quota that another build used at the same moment.
        (409, "Conflict", ConflictError),
        (404, "NotFound", NotFoundError),
        (403, "Forbidden", RefusedError),
        (422, "Invalid", RefusedError),
        (413, "RequestEntityTooLarge", RefusedError),
        (400, "BadRequest", RefusedError),
        (500, "InternalError", ClusterError),
        (503, "ServiceUnavailable", ClusterError),
        (429, "TooManyRequests", ClusterError),
    ],
)
def test_the_kind_of_an_answer(code, reason, expected):
    error = answer(code, reason)
    assert type(error) is expected
    assert str(error) == "creating Job team/x: words"


def test_a_rule_of_the_cluster_is_told_from_a_wrong_object():
    assert answer(403, "Forbidden").forbidden
    assert not answer(422, "Invalid").forbidden


DENIED = 'admission webhook "w.example" denied the request: no builds here'


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 418, 422])
def test_a_denial_is_a_rule_of_the_cluster_whatever_code_it_chose(code):
    error = answer(code, "", DENIED)
    assert isinstance(error, RefusedError)
    assert error.forbidden


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_denial_with_the_code_of_a_server_in_trouble_is_trouble(code):
    assert type(answer(code, "", DENIED)) is ClusterError


def test_a_namespace_that_is_being_deleted_is_told_by_its_cause():
    error = client.ApiException(status=403, reason="Forbidden")
    causes = [{"reason": "NamespaceTerminating", "message": "namespace team is being terminated"}]
    error.body = json.dumps({"reason": "Forbidden", "message": "words", "details": {"causes": causes}})
    assert type(error_of(error, "creating Job team/x")) is NamespaceEndsError


@pytest.mark.parametrize(
    "body",
    [None, "", "<html>", "[]", "1", '{"message": null}', '{"details": 1}', '{"details": {"causes": [1]}}'],
)
def test_an_answer_that_is_no_status(body):
    error = client.ApiException(status=409, reason="Conflict")
    error.body = body
    made = error_of(error, "creating Job team/x")
    assert type(made) is ConflictError
    assert "409 Conflict" in str(made)
