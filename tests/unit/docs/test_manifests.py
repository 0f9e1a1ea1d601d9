"""Manifests in the documentation are manifests that the API server takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.imagebuild import ImageBuild
from tests.pages.blocks import blocks

KINDS = ("ImageBuild", "BuildPolicy")


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for page, text in blocks("yaml"):
        for document in yaml.safe_load_all(text) if "…" not in text else ():
            if isinstance(document, dict) and document.get("kind") in KINDS:
                yield page, document


MANIFESTS = list(manifests())


@pytest.mark.parametrize(("page", "document"), MANIFESTS, ids=[page for page, _ in MANIFESTS])
def test_it_is_valid(page, document):
    assert document["apiVersion"] == "strake.dev/v1alpha1"
    assert document["metadata"]["name"]
    if document["kind"] == "ImageBuild":
        assert ImageBuild.model_validate(document).spec.output.destinations
    else:
        assert BuildPolicySpec.model_validate(document["spec"]).model_fields_set


def test_each_start_has_some_or_needs_none():
    assert {page for page, _ in MANIFESTS} >= {
        "README.md",
        "docs/index.md",
        "docs/start/gitops.md",
        "docs/start/platform.md",
    }
