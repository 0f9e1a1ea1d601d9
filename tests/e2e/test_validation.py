"""What `kubectl apply` refuses and what the operator cannot read are the same: drawn specs, asked of both."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.imagebuild import ImageBuildSpec
from tests.cluster.objects import refusal_of
from tests.fixtures.content.drawn_specs import objects, schema_of

pytestmark = pytest.mark.usefixtures("platform")
SMALLEST: dict[str, Any] = {
    "source": {"inline": {"Dockerfile": "FROM scratch"}},
    "output": {"destinations": ["registry.example/app:1"]},
}
GIT: dict[str, Any] = {**SMALLEST, "source": {"git": {"url": "https://host/x.git", "ref": "main"}}}
drawn = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def refusal(model: type[BaseModel], spec: dict[str, Any]) -> str:
    """Return why the operator would not read a spec; "" where it would."""
    try:
        model.model_validate(spec)
    except ValidationError as error:
        return str(error)
    return ""


def agree(kind: str, plural: str, model: type[BaseModel], spec: dict[str, Any]) -> None:
    manifest = {"apiVersion": "strake.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    by_server, by_operator = refusal_of(plural, "default", manifest), refusal(model, spec)
    assert bool(by_server) == bool(by_operator), f"{by_server or 'accepted'} / {by_operator or 'accepted'}"


def optional(name: str) -> st.SearchStrategy[dict[str, Any]]:
    schema = schema_of(name)
    return objects({**schema, "required": []})


@drawn
@given(base=st.sampled_from((SMALLEST, GIT)), spec=optional("imagebuilds"))
def test_an_image_build(base, spec):
    agree("ImageBuild", "imagebuilds", ImageBuildSpec, {**base, **spec})


@drawn
@given(spec=optional("buildpolicies"))
def test_a_build_policy(spec):
    agree("BuildPolicy", "buildpolicies", BuildPolicySpec, spec)
