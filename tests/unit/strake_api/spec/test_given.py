"""What a spec names for ARG and RUN: what is accepted, and what becomes of it in a request."""

from __future__ import annotations

import pytest

from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.base import Registries
from tests.unit.strake_api.specs import refusal, spec


def request_of(given="/given", **changes):
    return build_request(
        ImageBuildSpec.model_validate(spec(**changes)),
        mounted=MountedPaths("/c", given=given),
        work_directory="/w",
        registries=Registries(),
    )


REF = {"name": "s", "key": "k"}


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"name": "A", "value": "", "valueFrom": {"secretKeyRef": REF}}, "a value or valueFrom"),
        ({"name": "A", "valueFrom": {}}, "exactly one of configMapKeyRef or secretKeyRef"),
        ({"name": "A", "valueFrom": {"secretKeyRef": REF, "configMapKeyRef": REF}}, "exactly one of"),
        ({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}, "key"),
        ({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "../x"}}}, "key"),
        ({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, "fieldRef"),
        ({"name": "A", "value": "a\0b"}, "null character"),
    ],
)
def test_arguments_that_cannot_be_meant(argument, words):
    assert words in refusal(args=[argument])


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "-x", "a,b", "a\nb"])
@pytest.mark.parametrize("field", ["secrets", "ssh"])
def test_ids_are_names_of_files(field, name):
    assert "id" in refusal(
        **{field: [{"id": name, "secretRef": REF if field == "secrets" else {"name": "s"}}]}
    )


def test_a_request_names_files_and_holds_no_value():
    made = request_of(
        args=[
            {"name": "PLAIN", "value": "1"},
            {"name": "EMPTY"},
            {"name": "MAP", "valueFrom": {"configMapKeyRef": REF}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": REF}},
        ],
        secrets=[{"id": "one", "secretRef": REF}, {"id": "two", "secretRef": REF}],
        ssh=[{"secretRef": {"name": "deploy"}}],
    )
    assert [(each.name, each.value, each.file) for each in made.args] == [
        ("PLAIN", "1", None),
        ("EMPTY", "", None),
        ("MAP", "", "/given/args/2"),
        ("SECRET", "", "/given/args/3"),
    ]
    assert [(each.id, each.path) for each in made.secrets] == [
        ("one", "/given/secrets/0"),
        ("two", "/given/secrets/1"),
    ]
    assert [(each.id, each.path) for each in made.ssh] == [("default", "/given/ssh/0")]


def test_an_argument_from_a_secret_is_warned_of():
    (warning,) = request_of(
        args=[
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": REF}},
            {"name": "http_proxy", "valueFrom": {"secretKeyRef": REF}},
            {"name": "MIRROR", "valueFrom": {"configMapKeyRef": REF}},
        ]
    ).warnings
    assert "TOKEN comes from a Secret" in warning
    assert "history" in warning


def test_an_epoch_may_come_from_elsewhere():
    arguments = [{"name": "SOURCE_DATE_EPOCH", "valueFrom": {"configMapKeyRef": REF}}]
    (argument,) = request_of(args=arguments).args
    assert (argument.value, argument.file is None) == ("", False)
