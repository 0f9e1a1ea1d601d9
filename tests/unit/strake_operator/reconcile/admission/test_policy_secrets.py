"""Every Secret that a spec can name is one that a policy can forbid."""

from __future__ import annotations

import json

from strake_api.crd.definition import image_build_definition
from strake_api.imagebuild import ImageBuildSpec
from strake_operator.reconcile.admission.policy import secrets_of

REF = {"key": "k"}
SPEC = {
    "source": {"git": {"url": "https://x.example/y", "secret": {"name": "s-git"}}},
    "output": {"destinations": ["r.example/a:1"]},
    "pushSecret": {"name": "s-push"},
    "pullSecret": {"name": "s-pull"},
    "args": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s-arg", **REF}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "map", **REF}}},
    ],
    "secrets": [{"id": "one", "secretRef": {"name": "s-run", **REF}}],
    "ssh": [{"id": "default", "secretRef": {"name": "s-ssh"}}],
    "pod": {"imagePullSecrets": [{"name": "s-image"}], "runtimeClassName": "kata"},
}


def test_all_of_them_are_found():
    found = {name for _, name in secrets_of(ImageBuildSpec.model_validate(SPEC).to_dict())}
    assert found == {"s-git", "s-push", "s-pull", "s-arg", "s-run", "s-ssh", "s-image"}


def test_the_spec_above_uses_every_field_that_names_one():
    (version,) = image_build_definition()["spec"]["versions"]
    text = json.dumps(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    fields = {
        "pushSecret",
        "pullSecret",
        "secret",
        "secretRef",
        "secretKeyRef",
        "imagePullSecrets",
        "secrets",
    }
    named = {word for word in text.replace('"', " ").split() if "secret" in word.lower() and word.isalpha()}
    properties = {word for word in named if f'"{word}": {{' in text}
    assert properties == fields
