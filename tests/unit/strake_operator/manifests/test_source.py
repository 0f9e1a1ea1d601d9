"""The container that fetches private repositories, for the source and for named contexts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.models.source import BucketSource, GitSource
from strake_api.requests.build import BuildRequest
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_config_map
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import SETTINGS
from tests.unit.strake_operator.manifests.test_manifests import RUN

OPEN = {"url": "https://git.example/open.git"}


def private(secret):
    return {"url": f"https://git.example/{secret}.git", "secret": {"name": secret}}


def spec(source, *contexts):
    named = [{"name": f"c{number}", "git": git} for number, git in enumerate(contexts)]
    fields = {"source": {"git": source}, "contexts": named, "output": {"destinations": ["r.example/app:1"]}}
    return ImageBuildSpec.model_validate(fields)


def pod_of(build):
    return builder_job(RUN, build, SETTINGS)["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "build",
    [
        spec(private("a")),
        spec(OPEN, private("a")),
        spec(private("a"), OPEN, private("b"), private("a")),
    ],
    ids=["source", "context", "both"],
)
def test_each_secret_is_mounted_where_the_request_says_and_in_no_other_container(build):
    pod = pod_of(build)
    (fetching,) = [each for each in pod["initContainers"] if each["name"] == "source"]
    secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    mounts = {each["mountPath"]: each for each in fetching["volumeMounts"]}
    made = request_config_map(RUN, build, SETTINGS)["data"]["request.json"]
    request = BuildRequest.model_validate_json(made)
    with_secrets = [git for git in request.repositories if git.credentials]
    assert len(with_secrets) == len(secrets) > 0
    for git in with_secrets:
        mount = mounts[git.credentials]
        assert secrets[mount["name"]] in git.url
        assert mount["readOnly"]
        assert present(git.fetched).startswith("/strake/source")
    (builder,) = pod["containers"]
    assert not secrets.keys() & {each["name"] for each in builder["volumeMounts"]}
    (source,) = [each for each in builder["volumeMounts"] if each["name"] == "source"]
    assert (source["mountPath"], source["readOnly"]) == ("/strake/source", True)
    assert len({git.fetched for git in with_secrets}) == len(with_secrets)


def test_public_repositories_need_no_such_container():
    assert not pod_of(spec(OPEN, OPEN))["initContainers"]


@pytest.mark.parametrize("at", ["source", "context"])
def test_only_for_ssh_the_root_can_be_written_to(at):
    ssh = {"url": "git@git.example:a.git", "secret": {"name": "deploy"}}
    for git, is_read_only in ((private("a"), True), (ssh, False)):
        build = spec(git) if at == "source" else spec(OPEN, git)
        (container,) = [each for each in pod_of(build)["initContainers"] if each["name"] == "source"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is is_read_only
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    "source",
    [
        {"s3": {"bucket": "box", "key": "c.tar"}},
        {"gs": {"bucket": "box", "object": "c.tar"}},
        {"azure": {"url": "https://acme.blob.core.windows.net/box/c.tar"}},
    ],
)
def test_the_secret_of_a_bucket_is_in_the_init_container_alone(source):
    ((kind, fields),) = source.items()
    changed = {"source": {kind: {**fields, "secret": {"name": "keys"}}}}
    output = {"output": {"destinations": ["r.example/app:1"]}}
    build = ImageBuildSpec.model_validate({**output, **changed})
    pod = pod_of(build)
    (fetching,) = [each for each in pod["initContainers"] if each["name"] == "source"]
    (builder,) = pod["containers"]
    (volume,) = [
        each["name"] for each in pod["volumes"] if each.get("secret", {}).get("secretName") == "keys"
    ]
    request = BuildRequest.model_validate_json(
        request_config_map(RUN, build, SETTINGS)["data"]["request.json"]
    )
    bucket = present(request.source.bucket)
    assert {each["name"]: each["mountPath"] for each in fetching["volumeMounts"]}[
        volume
    ] == bucket.credentials
    assert volume not in {each["name"] for each in builder["volumeMounts"]}
    assert bucket.fetched == "/strake/source"
    opened = pod_of(ImageBuildSpec.model_validate({**output, "source": source}))
    assert "source" not in {each["name"] for each in opened["initContainers"]}


@pytest.mark.parametrize("account", [None, "ci"])
def test_the_identity_of_a_named_service_account_reads_buckets_apart_from_steps(account):
    """The clouds' webhooks leave the builder out (`gateway_annotations`), so it could not read them."""
    fields = {
        "source": {"git": OPEN},
        "contexts": [{"name": "lib", "s3": {"bucket": "box", "key": "c.tar"}}],
        "output": {"destinations": ["r.example/app:1"]},
        **({} if account is None else {"serviceAccountName": account}),
    }
    build = ImageBuildSpec.model_validate(fields)
    request = BuildRequest.model_validate_json(
        request_config_map(RUN, build, SETTINGS)["data"]["request.json"]
    )
    (found,) = request.bucket_objects
    names = [each["name"] for each in pod_of(build)["initContainers"]]
    assert found.credentials is None
    if account is None:
        assert (found.fetched, names) == (None, [])
        return
    assert (found.fetched, names) == ("/strake/source/context-0", ["source", "gateway"])
    (fetching,) = [each for each in pod_of(build)["initContainers"] if each["name"] == "source"]
    (source,) = [each for each in pod_of(build)["containers"][0]["volumeMounts"] if each["name"] == "source"]
    assert source["readOnly"]
    assert {each["name"] for each in fetching["volumeMounts"]} == {"request", "source"}


def test_the_secrets_of_buckets_of_contexts_are_in_the_init_container_alone():
    objects: list[dict[str, Any]] = [
        {"s3": {"bucket": "box", "key": "c.tar", "secret": {"name": "one"}}},
        {"gs": {"bucket": "box", "object": "c.tar"}},
        {"azure": {"url": "https://acme.blob.core.windows.net/box/c.tar", "secret": {"name": "two"}}},
    ]
    build = ImageBuildSpec.model_validate(
        {
            "source": {"git": private("three")},
            "contexts": [{"name": f"c{number}", **each} for number, each in enumerate(objects)],
            "output": {"destinations": ["r.example/app:1"]},
        }
    )
    pod = pod_of(build)
    (fetching,) = [each for each in pod["initContainers"] if each["name"] == "source"]
    (builder,) = pod["containers"]
    secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    mounts = {each["mountPath"]: each["name"] for each in fetching["volumeMounts"]}
    request = BuildRequest.model_validate_json(
        request_config_map(RUN, build, SETTINGS)["data"]["request.json"]
    )
    fetched: list[GitSource | BucketSource] = [*request.repositories, *request.bucket_objects]
    found = {secrets[mounts[each.credentials]]: each.fetched for each in fetched if each.credentials}
    assert found == {
        "three": "/strake/source",
        "one": "/strake/source/context-0",
        "two": "/strake/source/context-2",
    }
    assert set(secrets.values()) == {"one", "two", "three"}
    assert not secrets.keys() & {each["name"] for each in builder["volumeMounts"]}


def test_the_queue_of_kueue_is_a_label_of_the_job_alone():
    job = builder_job(replace(RUN, queue="builds"), spec(OPEN), SETTINGS)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "builds"
    assert "kueue.x-k8s.io/queue-name" not in job["spec"]["template"]["metadata"]["labels"]
    assert "kueue.x-k8s.io/queue-name" not in builder_job(RUN, spec(OPEN), SETTINGS)["metadata"]["labels"]
