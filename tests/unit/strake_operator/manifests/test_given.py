"""What a build is given from Secrets and ConfigMaps, in its pod."""

from __future__ import annotations

from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.build import BuildRequest
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_config_map
from tests.unit.strake_operator.builders import SETTINGS, SPEC
from tests.unit.strake_operator.manifests.test_manifests import RUN

GIVEN = ImageBuildSpec.model_validate(
    {
        "source": {"git": {"url": "https://git.example/a.git", "secret": {"name": "git"}}},
        "output": {"destinations": ["r.example/app:1"]},
        "pushSecret": {"name": "push"},
        "args": [
            {"name": "PLAIN", "value": "1"},
            {"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mirror"}}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
        ],
        "secrets": [{"id": "npmrc", "secretRef": {"name": "npm", "key": ".npmrc"}}],
        "ssh": [{"id": "default", "secretRef": {"name": "deploy"}}],
    }
)


def pod_of(spec):
    return builder_job(RUN, spec, SETTINGS)["spec"]["template"]["spec"]


def test_every_file_of_the_request_is_mounted():
    pod = pod_of(GIVEN)
    (volume,) = [each for each in pod["volumes"] if each["name"] == "given"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "given"]
    assert mount["readOnly"]
    found = {
        f"{mount['mountPath']}/{item['path']}": (kind, source["name"], item["key"])
        for each in volume["projected"]["sources"]
        for kind, source in each.items()
        for item in source["items"]
    }
    made = request_config_map(RUN, GIVEN, SETTINGS)["data"]["request.json"]
    request = BuildRequest.model_validate_json(made)
    assert [found[each.file] for each in request.args if each.file] == [
        ("configMap", "settings", "mirror"),
        ("secret", "token", "value"),
    ]
    assert [found[each.path] for each in request.secrets] == [("secret", "npm", ".npmrc")]
    assert [found[each.path] for each in request.ssh] == [("secret", "deploy", "ssh-privatekey")]
    assert len(found) == 4


def test_no_other_container_has_it():
    containers = pod_of(GIVEN)["initContainers"]
    assert {each["name"] for each in containers} == {"source", "gateway"}
    for container in containers:
        assert "given" not in {mount["name"] for mount in container["volumeMounts"]}


def test_a_build_that_is_given_nothing_has_no_such_volume():
    assert "given" not in {each["name"] for each in pod_of(SPEC)["volumes"]}
