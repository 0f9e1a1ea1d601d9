"""The Job and its ConfigMap: what runs, with which rights, and who owns it."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.build import BuildRequest
from strake_builder.cli.commands import execute
from strake_builder.cli.flags.values.sizes import read_max_unpacked
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_config_map, request_of_run
from strake_operator.settings.default_cache import RepositoryTemplate
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import SETTINGS, SPEC

RUN = RunIdentity("team", "hello", "uid-1", 3, 2, "hello-abc-3-2")
FULL = ImageBuildSpec.model_validate(
    {
        "source": {"configMap": {"name": "ctx"}},
        "output": {"destinations": ["r.example/app:1"], "sign": {"secretRef": {"name": "sign-me"}}},
        "pushSecret": {"name": "push-me"},
        "pullSecret": {"name": "pull-me"},
        "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}},
        "timeout": "10m",
    }
)


def pod_of(spec=SPEC):
    return builder_job(RUN, spec, SETTINGS)["spec"]["template"]["spec"]


def container_of(spec=SPEC):
    (container,) = pod_of(spec)["containers"]
    return container


def test_the_form_of_the_image_reaches_the_builder():
    form = {"compression": "zstd", "compressionLevel": 9, "labels": {"a": "b"}, "sourceDateEpoch": 7}
    spec = ImageBuildSpec.model_validate(
        {
            "source": {"inline": {"Dockerfile": "FROM scratch"}},
            "output": {"destinations": ["r.example/a"], **form},
        }
    )
    config_map = request_config_map(RUN, spec, SETTINGS)
    request = BuildRequest.model_validate_json(config_map["data"]["request.json"])
    assert form.items() <= request.output.to_dict().items()
    assert request.epoch(5) == 7


@pytest.mark.parametrize("text", [None, "500MB"])
def test_what_a_layer_may_take_reaches_the_builder(monkeypatch, text):
    settings = replace(SETTINGS, max_unpacked_size=text)
    (container,) = builder_job(RUN, SPEC, settings)["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    parser = argparse.ArgumentParser()
    execute.configure(parser)
    command, *flags = container["args"]
    assert command == "execute"
    assert read_max_unpacked(parser.parse_args(flags)) == (500_000_000 if text else MAX_UNPACKED)


def test_a_builder_gets_no_token_and_nothing_of_the_node():
    pod, container = pod_of(), container_of()
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["privileged"] is False
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    assert "command" not in container, "the image's entrypoint finds its own userland"


def test_a_run_is_never_repeated_by_kubernetes():
    job = builder_job(RUN, SPEC, SETTINGS)
    assert job["spec"]["backoffLimit"] == 0
    assert pod_of()["restartPolicy"] == "Never"


def test_the_deadline_leaves_the_builder_time_to_report():
    assert builder_job(RUN, FULL, SETTINGS)["spec"]["activeDeadlineSeconds"] == 660


def test_everything_belongs_to_the_build():
    for made in (builder_job(RUN, SPEC, SETTINGS), request_config_map(RUN, SPEC, SETTINGS)):
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ImageBuild", "uid-1")
        assert made["metadata"]["labels"]["strake.dev/uid"] == "uid-1"
        assert made["metadata"]["namespace"] == "team"


@pytest.mark.parametrize("spec", [SPEC, FULL], ids=["inline", "full"])
def test_every_path_of_the_request_is_mounted(spec):
    made = request_config_map(RUN, spec, SETTINGS)
    request = BuildRequest.model_validate_json(made["data"]["request.json"])
    registries = request.registries
    builders = [request.work_directory, registries.gateway]
    if request.source.directory:
        builders.append(request.source.directory.path)
    secrets = [registries.push_config, registries.pull_config, registries.gateway]
    if request.output.sign:
        secrets += [request.output.sign.key, request.output.sign.password]
    for container, paths in ((container_of(spec), builders), (gateway_of(spec), secrets)):
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        for path in filter(None, paths):
            assert any(path == mount or path.startswith(mount + "/") for mount in mounts), path


def gateway_of(spec):
    return next(iter(pod_of(spec)["initContainers"]), {"volumeMounts": ()})


def test_the_container_that_runs_steps_has_no_secret_of_a_registry():
    pod = pod_of(FULL.model_copy(update={"service_account_name": "builder"}))
    secrets = {each["name"] for each in pod["volumes"] if "secret" in each or "projected" in each}
    assert secrets == {"push", "pull", "signing"}
    assert not secrets & {mount["name"] for mount in container_of(FULL)["volumeMounts"]}
    gateway = gateway_of(FULL)
    assert secrets <= {mount["name"] for mount in gateway["volumeMounts"]}
    security = gateway["securityContext"]
    assert security["runAsNonRoot"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"]


def test_the_key_that_signs_is_mounted_with_a_password_if_it_has_one():
    (volume,) = [each for each in pod_of(FULL)["volumes"] if each["name"] == "signing"]
    key, password = (each["secret"] for each in volume["projected"]["sources"])
    assert key == {"name": "sign-me", "items": [{"key": "cosign.key", "path": "cosign.key"}]}
    assert password["items"] == [{"key": "cosign.password", "path": "cosign.password"}]
    assert password["optional"]


def test_a_build_that_signs_has_a_gateway_though_it_has_no_other_secret():
    signed = ImageBuildSpec.model_validate(
        {
            "source": {"inline": {"Dockerfile": "FROM scratch"}},
            "output": {
                "destinations": ["r.example/a"],
                "sign": {"secretRef": {"name": "sign-me"}, "form": "bundle"},
            },
        }
    )
    assert gateway_of(signed)["name"] == "gateway"
    made = request_config_map(RUN, signed, SETTINGS)["data"]["request.json"]
    request = BuildRequest.model_validate_json(made)
    assert request.registries.gateway is not None
    assert request.output.sign is not None
    assert request.output.sign.form == "bundle"


def test_a_cloud_gives_its_identity_to_the_gateway_alone():
    made = builder_job(RUN, with_account(), SETTINGS)["spec"]["template"]
    assert gateway_of(with_account())["name"] == "gateway"
    for name in ("eks.amazonaws.com/skip-containers", "azure.workload.identity/skip-containers"):
        assert made["metadata"]["annotations"][name] == "builder"


def test_where_logs_are_kept_every_build_has_a_gateway_that_pushes_its_own():
    settings = replace(SETTINGS, log_repository=RepositoryTemplate("r.example/logs/{namespace}"))
    pod = builder_job(RUN, SPEC, settings)["spec"]["template"]["spec"]
    gateway = next(each for each in pod["initContainers"] if each["name"] == "gateway")
    assert gateway["args"][-2:] == ["--log-socket=/strake/gateway/log", "--log-report=/dev/termination-log"]
    assert "--log-copy=/strake/gateway/log" in pod["containers"][0]["args"]
    log = present(request_of_run(RUN, SPEC, settings).log)
    assert (log.repository, log.tag) == (f"r.example/logs/{RUN.namespace}", RUN.job)
    assert request_of_run(RUN, SPEC, SETTINGS).log is None


def test_a_build_without_credentials_needs_no_gateway():
    assert not pod_of(SPEC)["initContainers"]
    request = BuildRequest.model_validate_json(
        request_config_map(RUN, SPEC, SETTINGS)["data"]["request.json"]
    )
    assert request.registries.gateway is None


def test_base_images_are_mounted_where_the_request_says():
    bases = tuple(f"r.example/base{number}@sha256:{str(number) * 64}" for number in range(2))
    based = replace(RUN, bases=bases)
    request = BuildRequest.model_validate_json(
        request_config_map(based, FULL, SETTINGS)["data"]["request.json"]
    )
    pod = builder_job(based, FULL, SETTINGS)["spec"]["template"]["spec"]
    images = {each["name"]: each["image"] for each in pod["volumes"] if "image" in each}
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    for volume, base in zip(request.base_volumes, bases, strict=True):
        mount = mounts[volume.directory]
        assert mount["readOnly"]
        assert images[mount["name"]] == {"reference": base, "pullPolicy": "IfNotPresent"}
        assert base.endswith(f"@{volume.manifest}")
    assert pod["imagePullSecrets"] == [{"name": "pull-me"}]
    assert "imagePullSecrets" not in pod_of(FULL)


def test_secrets_are_mounted_by_name_and_never_copied():
    volumes = {volume["name"]: volume for volume in pod_of(FULL)["volumes"]}
    assert volumes["push"]["secret"]["secretName"] == "push-me"
    assert volumes["pull"]["secret"]["secretName"] == "pull-me"
    assert "push-me" not in request_config_map(RUN, FULL, SETTINGS)["data"]["request.json"]


def with_account():
    return SPEC.model_copy(update={"service_account_name": "builder"})


def test_a_service_account_is_the_pods_and_brings_no_token_of_the_api():
    pod = pod_of(with_account())
    assert pod["serviceAccountName"] == "builder"
    assert pod["automountServiceAccountToken"] is False
    assert not [volume for volume in pod["volumes"] if "projected" in volume]
    assert "serviceAccountName" not in pod_of()


def test_azures_webhook_finds_a_pod_by_its_label():
    label = "azure.workload.identity/use"
    template = builder_job(RUN, with_account(), SETTINGS)["spec"]["template"]
    assert template["metadata"]["labels"][label] == "true"
    assert RUN.labels().items() <= template["metadata"]["labels"].items()
    assert label not in builder_job(RUN, SPEC, SETTINGS)["spec"]["template"]["metadata"]["labels"]
