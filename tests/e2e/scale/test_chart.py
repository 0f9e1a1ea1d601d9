"""The chart on a real API server: installed, upgraded under a build that runs, uninstalled, and after kustomize.

No kubelet is there, so the Deployment gets no pods: the operator is a process of this machine with the rights that the
release gives it, and what `helm test` runs in a pod runs beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.fixtures.building import go_tools
from tests.helm.charts import CHART, MAJORS, Object, helm, rendered
from tests.helm.earlier import earlier, schema
from tests.helm.schemas import LOCATION, write_schemas
from tests.scale.api import Api
from tests.scale.builds import Builds
from tests.scale.control_plane import control_plane, install, stub_kubelet
from tests.scale.operator import operator

NAMESPACE = "strake-system"
EVERYTHING = Path(__file__).parents[2] / "integration/chart/everything.yaml"
GOLDEN = Path(__file__).parents[2] / "golden/imagebuilds.yaml"
SECONDS = 200
"""For all of it, on a busy machine."""
APP = {
    "apiVersion": "strake.dev/v1alpha1",
    "kind": "ImageBuild",
    "metadata": {"name": "app"},
    "spec": {
        "source": {"git": {"url": "https://git.example/app.git"}},
        "output": {"destinations": ["registry.example/scale/app:1"]},  # the kubelet of tests/scale reports it
    },
}
POLICY = 'buildPolicies={"teams": {"destinations": ["registry.example/*"]}}'


@pytest.fixture(scope="module")
def plane():
    with control_plane(empty=True) as made:
        # An API server answers before it has made the roles that every cluster has.
        made.kubectl("wait", "clusterrole/cluster-admin", "--for=create", "--timeout=120s")
        yield made


@pytest.fixture
def released(plane):
    """A plane where a test that fails leaves no release to the next one."""
    yield plane
    release(plane, "uninstall", "--ignore-not-found")


def release(plane, command: str, *words: str, major: int = 3) -> subprocess.CompletedProcess[str]:
    """Run a command of helm about the release."""
    return helm(command, "strake", *words, f"--namespace={NAMESPACE}", kubeconfig=plane.admin, major=major)


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def fields(plane) -> set[str]:
    """Return the fields of an ImageBuild's spec that the API server knows."""
    definition = json.loads(plane.kubectl("get", "crd", "imagebuilds.strake.dev", "-o=json"))
    (version,) = definition["spec"]["versions"]
    return set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def tried(plane, file: Path) -> subprocess.CompletedProcess[str]:
    """Have the API server check objects strictly, and keep none; what it refuses ends the list of none of the others."""
    words = [
        "create",
        "--namespace=team",
        "--dry-run=server",
        "--validate=strict",
        f"--filename={file}",
        "-o=name",
    ]
    command = [str(plane.programs / "kubectl"), f"--kubeconfig={plane.admin}", *words]
    return subprocess.run(command, capture_output=True, text=True)


def stored(plane, names: list[str], directory: Path) -> Path:
    """Have ImageBuilds stored and read back, with the defaults of the day; return their file. None is left."""
    wanted = {name.rpartition("/")[2] for name in names}
    file = directory / "stored.yaml"
    builds = [each for each in yaml.safe_load_all(GOLDEN.read_text()) if each["metadata"]["name"] in wanted]
    file.write_text(yaml.safe_dump_all(builds))
    plane.kubectl("create", "--namespace=team", f"--filename={file}")
    read = json.loads(plane.kubectl("get", "imagebuilds", "--namespace=team", "-o=json"))["items"]
    assert len(read) == len(builds)
    for each in read:
        each["metadata"] = {"name": each["metadata"]["name"]}
    file.write_text(yaml.safe_dump_all(read))
    plane.kubectl("delete", "imagebuilds", "--all", "--namespace=team")
    return file


def kubeconform(schemas: Path, objects: list[Object]) -> subprocess.CompletedProcess[str]:
    """Check objects, each of which has a schema; the answer lists what is wrong."""
    command = [go_tools.kubeconform(), "-strict", "-schema-location", f"{schemas}/{LOCATION}"]
    return subprocess.run(command, input=yaml.safe_dump_all(objects), capture_output=True, text=True)


def names(plane, kinds: str) -> list[str]:
    return plane.kubectl("get", kinds, "-A", "-o=name").split()


async def namespace_of_builds(plane, name: str) -> None:
    async with Api(plane.url, plane.token) as api:
        await Builds(api).namespaces([name])


def started(plane) -> str:
    """Return the Job that the operator made, when there is one."""
    deadline = time.monotonic() + SECONDS
    while not (found := names(plane, "jobs")):
        log = (plane.directory / "earlier.log").read_text()[-3000:]
        assert time.monotonic() < deadline, f"no Job after {SECONDS} s: {log}"
        time.sleep(0.2)  # between two questions
    (job,) = found
    return job


def ended(plane, namespace: str, name: str) -> str:
    """Return the phase in which a build ended.

    It is asked for again and again: a changed CRD ends watches.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        phase = plane.kubectl("get", "imagebuild", name, f"-n={namespace}", "-o=jsonpath={.status.phase}")
        if phase in {"Succeeded", "Failed"}:
            return phase
        log = (plane.directory / "operator.log").read_text()[-3000:]
        assert time.monotonic() < deadline, f"{phase} after {SECONDS} s, says the operator: {log}"
        time.sleep(0.5)  # between two questions: a watch may hang where the CRD changes under it


def installed_test(plane, **more: str) -> subprocess.CompletedProcess[str]:
    """Run what the pod of `helm test` runs, with the operator's rights."""
    account = plane.directory / "account"
    account.mkdir(exist_ok=True)
    shutil.copy(plane.directory / "apiserver/apiserver.crt", account / "ca.crt")
    config = json.loads(plane.operators[0].read_text())
    (account / "token").write_text(config["users"][0]["user"]["token"])
    pod = rendered()["Pod", NAMESPACE, "strake-test"]["spec"]
    (script,) = pod["containers"][0]["args"]
    environment = {
        **os.environ,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": plane.url.rpartition(":")[2],
        "SERVICEACCOUNT": str(account),
        "NAMESPACE": NAMESPACE,
        **more,
    }
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("major", MAJORS)
def test_policies_before_their_definition_are_refused_with_what_to_do(plane, major):
    refused = release(plane, "install", str(CHART), "--create-namespace", f"--set-json={POLICY}", major=major)
    assert refused.returncode == 1
    assert "install the chart without buildPolicies, then run helm upgrade with them" in refused.stderr
    assert names(plane, "crd,clusterroles") == [
        each for each in names(plane, "clusterroles") if "strake" not in each
    ]


@pytest.mark.usefixtures("released")
def test_an_upgrade_under_a_build_and_an_uninstall_that_leaves_builds(plane, tmp_path):
    old = earlier(tmp_path / "earlier")
    print(f"upgrades from {old.what}")
    notes = succeeds(release(plane, "install", str(old.chart), "--create-namespace"))
    assert f"kubectl -n {NAMESPACE} rollout status deployment/strake-operator" in notes
    assert "settings.denyNetworks closes" in notes
    assert fields(plane) == set(schema(old.chart)["properties"])
    plane.kubectl("wait", "crd/imagebuilds.strake.dev", "--for=condition=Established", "--timeout=200s")

    absent = installed_test(plane, SECONDS="0")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "no operator has acted yet, see the log of its pods" in absent.stderr

    def uid() -> str:
        return plane.kubectl("get", "imagebuild", "app", "-n=team", "-o=jsonpath={.metadata.uid}")

    asyncio.run(namespace_of_builds(plane, "team"))
    accepted = tried(plane, GOLDEN).stdout.split()
    assert len(accepted) >= 7, "of the first chart's fields"
    kept = stored(plane, accepted, tmp_path)
    file = tmp_path / "app.json"
    file.write_text(json.dumps(APP))
    with operator(plane, name="earlier", sources=old.sources):
        plane.kubectl("create", "-n=team", f"--filename={file}")
        before = uid()
        job = started(plane)
        succeeds(release(plane, "upgrade", str(CHART), "--set=settings.maxRuns=7", f"--set-json={POLICY}"))
    with stub_kubelet(plane, seconds=1), operator(plane):  # the pod runs when the later operator does
        assert uid() == before
        assert ended(plane, "team", "app") == "Succeeded", plane.kubectl(
            "get", "ib", "app", "-n=team", "-o=yaml"
        )
        assert names(plane, "jobs") == [job]
        acts = installed_test(plane)
        assert acts.returncode == 0, acts.stderr
        assert acts.stdout.endswith(" acts\n")
    assert fields(plane) == set(schema(CHART)["properties"]), "helm upgrade upgrades CRDs"
    assert names(plane, "buildpolicies") == ["buildpolicy.strake.dev/teams"]
    settings = plane.kubectl("get", "configmap", "strake-operator", f"-n={NAMESPACE}", "-o=json")
    assert json.loads(settings)["data"]["STRAKE_MAX_RUNS"] == "7"

    for objects in (
        kept,
        GOLDEN,
        GOLDEN.with_name("buildpolicies.yaml"),
    ):  # as they were stored before, and all that was ever accepted
        checked = tried(plane, objects)
        assert checked.returncode == 0, checked.stderr
        assert len(checked.stdout.split()) == len(list(yaml.safe_load_all(objects.read_text())))

    (manifest,) = re.findall(r"<<'EOF'\n(.*?)EOF", notes, re.DOTALL)
    file = tmp_path / "hello.yaml"
    file.write_text(re.sub(r"(?m)^   ", "", manifest))
    plane.kubectl("apply", "-n=team", "--validate=strict", f"--filename={file}")

    second = helm("install", "another", str(CHART), "--namespace=team", kubeconfig=plane.admin)
    assert second.returncode == 1
    assert 'must equal "another": current value is "strake"' in second.stderr

    succeeds(release(plane, "uninstall"))
    assert_uninstalled(plane, builds=["imagebuild.strake.dev/app", "imagebuild.strake.dev/hello"])


def assert_uninstalled(plane, builds: list[str]) -> None:
    """Check that an uninstall left CRDs and ImageBuilds, and nothing else."""
    assert names(plane, "crd") == [
        "customresourcedefinition.apiextensions.k8s.io/buildpolicies.strake.dev",
        "customresourcedefinition.apiextensions.k8s.io/imagebuilds.strake.dev",
    ]
    assert names(plane, "imagebuilds") == builds
    rest = (
        "deployments,clusterroles,validatingadmissionpolicies,validatingadmissionpolicybindings,buildpolicies"
    )
    assert [each for each in names(plane, rest) if "strake" in each] == []


@pytest.mark.usefixtures("released")
def test_helm_4_does_the_same(plane, tmp_path):
    """CRDs that an uninstall left are the release's own; it goes back to the earlier ones, and forth."""
    old = earlier(tmp_path)
    notes = succeeds(release(plane, "install", str(old.chart), "--create-namespace", major=4))
    assert "rollout status deployment/strake-operator" in notes
    plane.kubectl("wait", "crd/imagebuilds.strake.dev", "--for=condition=Established", "--timeout=200s")
    builds = names(plane, "imagebuilds")
    assert fields(plane) == set(schema(old.chart)["properties"])
    succeeds(
        release(plane, "upgrade", str(CHART), "--set=settings.maxRuns=9", f"--set-json={POLICY}", major=4)
    )
    assert fields(plane) == set(schema(CHART)["properties"])
    settings = plane.kubectl("get", "configmap", "strake-operator", f"-n={NAMESPACE}", "-o=json")
    assert json.loads(settings)["data"]["STRAKE_MAX_RUNS"] == "9"
    succeeds(release(plane, "uninstall", major=4))
    assert_uninstalled(plane, builds)


@pytest.mark.usefixtures("released")
def test_what_kustomize_installed_becomes_a_release_which_helm_4_goes_on_with(plane):
    install(plane)
    refused = release(plane, "install", str(CHART))
    assert refused.returncode == 1
    assert "invalid ownership metadata" in refused.stderr
    succeeds(release(plane, "install", str(CHART), "--take-ownership"))
    owner = plane.kubectl("get", "clusterrole", "strake-operator", "-o=jsonpath={.metadata.annotations}")
    assert json.loads(owner)["meta.helm.sh/release-name"] == "strake"
    succeeds(release(plane, "upgrade", str(CHART), "--set=settings.maxRuns=8", major=4))
    settings = plane.kubectl("get", "configmap", "strake-operator", f"-n={NAMESPACE}", "-o=json")
    assert json.loads(settings)["data"]["STRAKE_MAX_RUNS"] == "8"
    succeeds(release(plane, "uninstall", major=4))


@pytest.mark.parametrize("words", [[], [f"--values={EVERYTHING}"]], ids=["defaults", "everything"])
def test_kubeconform_finds_nothing_in_what_is_rendered(plane, tmp_path, words):
    openapi = json.loads(plane.kubectl("get", "--raw=/openapi/v2"))
    assert write_schemas(openapi, tmp_path) > 100
    objects = rendered(*words).values()
    checked = kubeconform(tmp_path, [each for each in objects if each["kind"] != "PodMonitor"])
    assert checked.returncode == 0, checked.stdout

    (wrong,) = [each for each in objects if each["kind"] == "Deployment"]
    wrong["spec"]["template"]["spec"]["replica"] = 3
    refused = kubeconform(tmp_path, [wrong])
    assert refused.returncode == 1
    assert "additional properties 'replica' not allowed" in refused.stdout


def test_the_api_server_takes_everything_that_is_rendered(plane, tmp_path):
    """Strictly: a field that Kubernetes does not know is an error here."""
    plane.kubectl("create", "namespace", "platform")
    for namespace in ("strake-seccomp", "team-a", "team-b"):
        plane.kubectl("create", "namespace", namespace)
    plane.kubectl(
        "create", "serviceaccount", "strake-operator", "--namespace=platform"
    )  # the test's pod has it
    objects = rendered(f"--values={EVERYTHING}", namespace="platform")
    known = [
        each for (kind, _, _), each in objects.items() if kind != "PodMonitor"
    ]  # of the Prometheus operator
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(known))
    command = [str(plane.programs / "kubectl"), f"--kubeconfig={plane.admin}", "apply", f"--filename={file}"]
    more = ["--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict"]
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert len(done.stdout.splitlines()) == len(known)
