"""Secrets that a BuildPolicy gives to builds: which builds get them, where they are mounted, who reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.imagebuild import ImageBuildSpec
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_of_run
from strake_operator.reconcile.admission.policy import Policy, denial, effective
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import SETTINGS, SPEC
from tests.unit.strake_operator.manifests.test_manifests import RUN

PULL = {"defaultPullSecret": {"name": "team-pull"}}
LOGS = {"logRepository": "r.example/{namespace}/logs"}
LOG = {**LOGS, "logSecret": {"name": "team-log"}}
BASED = replace(RUN, bases=(f"r.example/base@sha256:{'0' * 64}",))


def policy(name="teams", **fields):
    return Policy(name, BuildPolicySpec.model_validate(fields))


def spec(**fields):
    return ImageBuildSpec.model_validate({**SPEC.to_dict(), **fields})


def pod_of(build, *policies, run=RUN):
    return builder_job(run, build, effective(SETTINGS, policies))["spec"]["template"]["spec"]


def request_of(build, *policies):
    return request_of_run(RUN, build, effective(SETTINGS, policies))


def secrets_of(pod):
    return {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}


@pytest.mark.parametrize(
    ("own", "policies", "volume", "secret"),
    [
        ({}, [PULL], "default-pull", "team-pull"),
        ({"pullSecret": {"name": "mine"}}, [PULL], "pull", "mine"),
        ({"pullSecret": {"name": "mine"}}, [], "pull", "mine"),
        ({}, [{}, PULL, {"defaultPullSecret": {"name": "second"}}], "default-pull", "team-pull"),
        ({}, [{}], None, None),
    ],
)
def test_the_secret_that_a_build_pulls_with(own, policies, volume, secret):
    made = [policy(f"policy-{number}", **fields) for number, fields in enumerate(policies)]
    pod, request = pod_of(spec(**own), *made, run=BASED), request_of(spec(**own), *made)
    if secret is None:
        assert (secrets_of(pod), request.registries.pull_config) == ({}, None)
        assert "imagePullSecrets" not in pod
        return
    assert secrets_of(pod) == {volume: secret}
    assert pod["imagePullSecrets"] == [{"name": secret}], "the kubelet pulls private bases with it, too"
    (gateway,) = pod["initContainers"]
    (mount,) = [each["mountPath"] for each in gateway["volumeMounts"] if each["name"] == volume]
    assert request.registries.pull_config == f"{mount}/config.json"
    assert request.registries.gateway is not None
    assert volume not in {each["name"] for each in pod["containers"][0]["volumeMounts"]}, "steps are there"


def test_a_secret_that_a_policy_gives_is_not_looked_up_in_its_list():
    strict = policy(secrets=[], **PULL, **LOG)
    assert denial(spec(), "team", [strict]) is None
    assert set(secrets_of(pod_of(spec(), strict)).values()) == {"team-pull", "team-log"}
    told = denial(spec(pullSecret={"name": "team-push"}), "team", [strict])
    assert "spec.pullSecret: Secret 'team-push' is none of" in present(told)


def test_a_steps_secret_of_the_same_name_is_still_refused():
    """What pulls must not be readable in a RUN because a policy names it for pulling."""
    asked = spec(secrets=[{"id": "x", "secretRef": {"name": "team-pull", "key": ".dockerconfigjson"}}])
    told = present(denial(asked, "team", [policy(secrets=[], **PULL)]))
    assert "Secret 'team-pull' is none of what is allowed" in told


@pytest.mark.parametrize(
    ("fields", "mounted"), [(LOG, True), (LOGS, False), ({"logSecret": {"name": "team-log"}}, False)]
)
def test_the_secret_of_the_logs_is_the_gateways_and_no_reason_to_wait(fields, mounted):
    pod, log = pod_of(spec(), policy(**fields)), request_of(spec(), policy(**fields)).log
    volumes = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
    if not mounted:
        assert volumes == {}
        assert log is None or log.credentials is None
        return
    assert (volumes["log"]["secretName"], volumes["log"]["optional"]) == ("team-log", True)
    (gateway,) = pod["initContainers"]
    (mount,) = [each["mountPath"] for each in gateway["volumeMounts"] if each["name"] == "log"]
    assert present(log).credentials == f"{mount}/config.json"
    assert "log" not in {each["name"] for each in pod["containers"][0]["volumeMounts"]}
