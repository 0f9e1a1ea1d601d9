"""What a builder pod may take of its node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.spec.resources import Resources
from strake_api.values.quantity import parse_quantity
from strake_operator.isolation import PodForm
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.settings.environment import DefaultResources
from tests.unit.strake_operator.builders import SETTINGS, SPEC

UNLIMITED = replace(
    SETTINGS, resources=DefaultResources(cpu_limit=None, memory_limit=None, disk_limit=None, disk_request="")
)


def pod_of(settings=SETTINGS, **asked):
    spec = SPEC.model_copy(update={"resources": Resources.model_validate(asked)}) if asked else SPEC
    run = RunIdentity("team", "hello", "uid-1", 1, 1, "hello-abc-1", PodForm.NESTED)
    return builder_job(run, spec, settings)["spec"]["template"]["spec"]


def resources_of(settings=SETTINGS, **asked):
    return pod_of(settings, **asked)["containers"][0]["resources"]


def test_everything_has_a_limit():
    assert resources_of() == {
        "requests": {"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "20Gi"},
    }


def test_a_platform_without_limits():
    assert resources_of(UNLIMITED) == {"requests": {"cpu": "250m", "memory": "256Mi"}}
    assert {"name": "work", "emptyDir": {}} in pod_of(UNLIMITED)["volumes"]


def test_the_spec_comes_first():
    found = resources_of(requests={"cpu": "2"}, limits={"memory": "1Gi"})
    assert found["limits"] == {"cpu": "4", "memory": "1Gi", "ephemeral-storage": "20Gi"}
    # Without a request of its own a limit is one.
    assert found["requests"] == {"cpu": "2", "ephemeral-storage": "1Gi"}


@pytest.mark.parametrize("name", ["cpu", "memory", "ephemeral-storage"])
def test_a_request_beyond_the_default_limit_moves_the_limit(name):
    found = resources_of(requests={name: "100Gi"})
    assert parse_quantity(found["limits"][name]) >= parse_quantity(found["requests"][name])


def test_extended_resources_pass_through():
    found = resources_of(limits={"example.com/gpu": 1})
    assert found["limits"]["example.com/gpu"] == "1"
    assert found["limits"]["memory"] == "4Gi"


@pytest.mark.parametrize(("asked", "size"), [({}, "20Gi"), ({"ephemeral-storage": "50Gi"}, "50Gi")])
def test_no_volume_takes_more_than_the_pod_may(asked, size):
    pod = pod_of(limits=asked) if asked else pod_of()
    sizes = {volume["name"]: volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume}
    assert sizes == {key: {"sizeLimit": size} for key in ("work", "run", "tmp")}
