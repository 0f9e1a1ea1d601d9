"""Examples for Flux and Argo CD: what refers to something finds it, and tags of builds are what automation picks.

Their controllers are no libraries. Rules are those of their documentation: Flux, "Image Policies" (RE2, the
named group, numerical order) and "Configure image updates" (markers); Argo CD, "Automated sync policy".
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from strake_api.imagebuild import ImageBuild
from strake_api.values.destinations import filled, run_values, tag_of

EXAMPLES = Path(__file__).parents[3] / "examples"
FLUX, ARGO = EXAMPLES / "flux", EXAMPLES / "argocd"


def documents(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = [each for each in yaml.safe_load_all(path.read_text()) if each]
    return {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found}


@pytest.mark.parametrize("path", [FLUX / "builds/app.yaml", ARGO / "builds/app.yaml"], ids=["flux", "argocd"])
def test_the_build_is_valid_and_of_one_commit(path):
    build = ImageBuild.model_validate(yaml.safe_load(path.read_text()))
    assert build.spec.source is not None
    assert build.spec.source.git is not None
    assert re.fullmatch("[0-9a-f]{40}", build.spec.source.git.ref or "")


def test_the_newest_build_is_the_one_that_flux_picks():
    policy = documents(FLUX / "images.yaml")["ImagePolicy", "app"]
    pattern = re.compile(policy["filterTags"]["pattern"])
    [destination] = yaml.safe_load((FLUX / "builds/app.yaml").read_text())["spec"]["output"]["destinations"]
    begun = datetime(2026, 1, 31, 12, tzinfo=UTC)
    tags = [
        tag_of(filled(destination, run_values(f"{number:040x}", begun + timedelta(seconds=number))))
        for number in (3, 10, 9)
    ]
    picked = {tag: pattern.match(tag) for tag in [*tags, "latest", "buildcache"]}
    numbers = {tag: int(found.expand(r"\g<at>")) for tag, found in picked.items() if found}
    assert list(numbers) == tags
    assert policy["filterTags"]["extract"] == "$at"
    assert policy["policy"] == {"numerical": {"order": "asc"}}
    assert max(numbers, key=lambda tag: numbers[tag]) == tags[1]


def test_what_flux_objects_name_is_there():
    sync, images = documents(FLUX / "sync.yaml"), documents(FLUX / "images.yaml")
    repository = images["ImageRepository", "app"]["image"]
    [destination] = yaml.safe_load((FLUX / "builds/app.yaml").read_text())["spec"]["output"]["destinations"]
    assert destination.startswith(f"{repository}:")
    assert images["ImagePolicy", "app"]["imageRepositoryRef"] == {"name": "app"}
    assert ("GitRepository", images["ImageUpdateAutomation", "app"]["sourceRef"]["name"]) in sync
    for name in ("builds", "deploy"):
        spec = sync["Kustomization", name]
        assert (FLUX / spec["path"]).is_dir()
        assert spec["prune"] is True
    assert sync["Kustomization", "builds"]["wait"] is True
    assert sync["Kustomization", "deploy"]["dependsOn"] == [{"name": "builds"}]
    [marker] = re.findall(r"image: (\S+) # (\{.*\})", (FLUX / "deploy/app.yaml").read_text())
    assert json.loads(marker[1]) == {"$imagepolicy": "flux-system:app"}
    assert marker[0].startswith(f"{repository}:")


def test_what_the_argo_application_names_is_there():
    spec = documents(ARGO / "application.yaml")["Application", "builds"]
    assert (ARGO / spec["source"]["path"] / "app.yaml").is_file()
    assert spec["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
    assert "ignoreDifferences" not in spec
    [patch] = re.findall(r"--patch-file (\S+)", (ARGO / "README.md").read_text())
    assert "resource.customizations.health.strake.dev_ImageBuild" in (ARGO / patch).read_text()
