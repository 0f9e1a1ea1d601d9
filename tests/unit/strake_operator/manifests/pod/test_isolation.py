"""The forms of a builder's pod: each passes Pod Security baseline, and asks for what its kind needs."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

import pytest

from strake_api.spec.pod.pod import BuilderPod
from strake_builder.cli.commands import execute
from strake_operator.isolation import PodForm
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_for
from strake_operator.names import FORM_ANNOTATION, FORM_LABEL
from tests.unit.strake_operator.builders import SETTINGS, SPEC

ROOT = Path(__file__).parents[5]
# Pod Security Standards, Baseline, "Capabilities".
ALLOWED = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
BASE_IMAGE = ("/tmp", "/run", "/var", "/etc", "/usr", "/home")


def job_of(form, settings=SETTINGS, why=None, spec=SPEC):
    run = RunIdentity("team", "hello", "uid-1", 3, 1, "hello-abc-3", form, why)
    return builder_job(run, spec, settings)


def pod_of(form, settings=SETTINGS, spec=SPEC):
    return job_of(form, settings, spec=spec)["spec"]["template"]["spec"]


def container_of(form, settings=SETTINGS):
    (container,) = pod_of(form, settings)["containers"]
    return container


@pytest.mark.parametrize("form", PodForm)
def test_every_form_passes_baseline(form):
    pod, security = pod_of(form), container_of(form)["securityContext"]
    assert set(security["capabilities"]["add"]) <= ALLOWED
    assert security["privileged"] is False
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
    assert pod["securityContext"].get("seccompProfile", {}).get("type") in {None, "RuntimeDefault"}
    if security.get("procMount") == "Unmasked":
        assert pod["hostUsers"] is False, "baseline allows it in a user namespace alone"


@pytest.mark.parametrize("form", PodForm)
def test_the_builder_understands_its_flags(form):
    parser = argparse.ArgumentParser()
    execute.configure(parser)
    command, *flags = container_of(form)["args"]
    assert (command, parser.parse_args(flags).isolation) == ("execute", form.kind)


@pytest.mark.parametrize("form", PodForm)
def test_no_capability_of_an_ordinary_container_is_taken_away(form):
    """Steps expect all fourteen, and NET_RAW may not be named."""
    assert "drop" not in container_of(form)["securityContext"]["capabilities"]


def test_a_nested_pod():
    pod, container = pod_of(PodForm.NESTED), container_of(PodForm.NESTED)
    assert pod["hostUsers"] is False
    assert container["securityContext"]["procMount"] == "Unmasked"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "seccompProfile" not in pod["securityContext"], "RuntimeDefault refuses a second user namespace"
    assert "--isolation=nested" in container["args"]


def test_what_a_nested_builder_writes_to_is_a_volume():
    """Its root is read-only; where its image has scratch files the Dockerfile says."""
    variables = dict(re.findall(r"(TMPDIR|STRAKE_WORK_DIR)=(\S+)", (ROOT / "Dockerfile").read_text()))
    mounts = {
        mount["mountPath"]
        for mount in container_of(PodForm.NESTED)["volumeMounts"]
        if not mount.get("readOnly")
    }
    assert {*variables.values(), "/tmp", "/run"} <= mounts


def test_a_nested_pod_with_the_runtimes_proc():
    pod, container = pod_of(PodForm.MASKED), container_of(PodForm.MASKED)
    assert pod["hostUsers"] is False
    assert "procMount" not in container["securityContext"]
    assert "--isolation=nested" in container["args"]


def test_a_profile_of_the_nodes_filters_nested_pods_alone():
    settings = replace(SETTINGS, seccomp_profile="strake-builder.json")
    profile = {"type": "Localhost", "localhostProfile": "strake-builder.json"}
    assert pod_of(PodForm.NESTED, settings)["securityContext"]["seccompProfile"] == profile
    chroot = pod_of(PodForm.CHROOT, settings)["securityContext"]["seccompProfile"]
    assert chroot == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(("form", "own_users"), [(PodForm.CHROOT, False), (PodForm.HOST_USERS, None)])
def test_a_chroot_pod_has_a_root_that_a_base_image_can_be_unpacked_on(form, own_users):
    pod, container = pod_of(form), container_of(form)
    assert pod.get("hostUsers") is own_users
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert "--isolation=chroot" in container["args"]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert not [path for path in mounted if path.startswith(BASE_IMAGE)]
    work = request_for(SPEC, "team", SETTINGS).work_directory
    assert not [path for path in mounted if work.startswith(path)]
    assert not [volume for volume in pod["volumes"] if "emptyDir" in volume]


@pytest.mark.parametrize("form", PodForm)
def test_a_runtime_class_passes_through(form):
    assert pod_of(form, replace(SETTINGS, runtime_class="gvisor"))["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in pod_of(form)
    own = SPEC.model_copy(update={"pod": BuilderPod(runtime_class_name="kata")})
    assert pod_of(form, replace(SETTINGS, runtime_class="gvisor"), own)["runtimeClassName"] == "kata"
    empty = SPEC.model_copy(update={"pod": BuilderPod()})
    assert pod_of(form, replace(SETTINGS, runtime_class="gvisor"), empty)["runtimeClassName"] == "gvisor"


def test_a_job_says_its_form_and_why():
    job = job_of(PodForm.CHROOT, why="on node n1: no")
    assert job["metadata"]["labels"][FORM_LABEL] == "chroot"
    assert job["metadata"]["annotations"][FORM_ANNOTATION] == "on node n1: no"
    assert job["spec"]["template"]["metadata"]["labels"][FORM_LABEL] == "chroot"
    assert FORM_ANNOTATION not in job_of(PodForm.NESTED)["metadata"]["annotations"]
