"""Manifests from flags: what they say, and that the cluster's rules are those of `kubectl apply`."""

from __future__ import annotations

import json

import pytest
import yaml

from strake_kubectl.making.manifest import replacing

DRY = ("--dry-run=client", "-o", "yaml")
TO = ("-t", "r.example/api:1")


def test_a_manifest_has_what_was_asked_for_and_nothing_else(strake):
    done = strake(
        *("create", "api", "--git", "https://git.example/api", "--ref", "main", "--source-path", "app", *TO),
        *(
            "--build-arg",
            "A=1=2",
            "--push-secret",
            "push",
            "--platform",
            "linux/arm64",
            "--label",
            "team=x",
            *DRY,
        ),
    )
    assert yaml.safe_load(done.out) == {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "api", "labels": {"team": "x"}},
        "spec": {
            "source": {"git": {"url": "https://git.example/api", "ref": "main", "path": "app"}},
            "args": [{"name": "A", "value": "1=2"}],
            "platform": "linux/arm64",
            "output": {"destinations": ["r.example/api:1"]},
            "pushSecret": {"name": "push"},
        },
    }


def test_several_platforms_are_one_imagebuild(strake):
    done = strake("create", "api", "--configmap", "c", *TO, "--platform", "linux/amd64, linux/arm64", *DRY)
    assert yaml.safe_load(done.out)["spec"]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_a_dry_run_of_the_client_asks_no_cluster(strake, api):
    assert strake("create", "api", "--configmap", "c", *TO, "--dry-run=client").out.endswith(
        "created (dry run)\n"
    )
    assert strake("create", "api", "--configmap", "c", *TO, "--dry-run=client", "-o", "name").out.startswith(
        "imagebuild"
    )
    assert api.asked == []


def test_it_is_made_once(strake, api):
    words = ("create", "api", "--oci", "r.example/c:1", *TO)
    assert strake(*words).out == "imagebuild.strake.dev/api created\n"
    assert api.builds["team", "api"]["spec"]["source"] == {"oci": {"reference": "r.example/c:1"}}
    again = strake(*words)
    assert (again.status, again.out) == (1, "")
    assert "already exists" in again.err
    assert json.loads(strake("create", "web", "-n", "other", *words[2:], "-o", "json").out)["metadata"]["uid"]
    assert ("other", "web") in api.builds


def test_a_dry_run_of_the_server_has_it_checked(strake, api):
    assert strake("create", "api", "--http", "https://x.example/a.tar", *TO, "--dry-run=server").status == 0
    assert "dryRun=All" in api.asked[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--git", "https://me:hunter2@git.example/api", *TO), "source"),
        (("--configmap", "c", "-t", "no reference at all"), "destinations"),
        (("--configmap", "c", *TO, "--platform", "windows/amd64"), "only images for Linux"),
        (("--configmap", "c", *TO, "--timeout", "soon"), "timeout"),
        (("--configmap", "c", *TO, "--ref", "main"), "--ref says nothing"),
        (("--git", "https://git.example/api", *TO, "--checksum", "sha256:0"), "--checksum says nothing"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_no_imagebuild_may_have_is_refused_here(strake, api, words, told):
    done = strake("create", "api", *words)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert "hunter2" not in done.err
    assert api.asked == []


def test_a_patch_removes_what_is_not_wanted_any_more():
    old = {"a": 1, "b": {"c": 1, "d": 2}, "list": [1]}
    assert replacing(old, {"b": {"c": 3}, "list": [2]}) == {"a": None, "b": {"c": 3, "d": None}, "list": [2]}
