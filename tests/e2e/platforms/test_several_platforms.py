"""One ImageBuild for several platforms: a Job for each, an index of them, and tags last."""

from __future__ import annotations

import json

import pytest

from strake_oci.errors import NotFoundError
from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.spec.platform import host
from strake_oci.spec.reference import Reference
from strake_operator.names import PART_LABEL
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, read
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import UID, finished, jobs, manifest, status_of, until
from tests.e2e.conftest import TINY
from tests.e2e.intrusions import node_of
from tests.e2e.operators import kill_operator
from tests.fixtures.servers.signing import PASSWORD, cosign_verify, make_key_pair

NATIVE = f"linux/{host().architecture}"
OTHER = "linux/arm64" if NATIVE == "linux/amd64" else "linux/amd64"
BOTH = [NATIVE, OTHER]
EMULATED = {"STRAKE_EMULATED_PLATFORMS": OTHER}
CONTENT = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\n"


def several(namespace: str, files: dict[str, str], **spec):
    """Return an ImageBuild of both platforms from a ConfigMap, which could change between their Jobs."""
    kubectl(
        "create",
        "configmap",
        "context",
        "-n",
        namespace,
        *(f"--from-literal={k}={v}" for k, v in files.items()),
    )
    made = manifest("", platforms=BOTH, source={"configMap": {"name": "context"}}, **spec)
    made["spec"]["output"] = {"destinations": [destination(namespace)]}
    return made


def destination(namespace: str) -> str:
    return f"{REGISTRY}/{namespace}/app:1"


def tagged(namespace: str) -> str | None:
    """Return the digest that the tag names; None while there is none."""
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        try:
            return str(client.resolve(Reference.parse(destination(namespace))).digest)
        except NotFoundError:
            return None


def index_of(namespace: str) -> dict:
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        reference = Reference.parse(destination(namespace))
        descriptor = client.resolve(reference)
        _, data = client.manifest(reference.repository, descriptor.digest)
    return json.loads(data)


def pulled(namespace: str, image: str) -> str:
    """Return what the node's own containerd pulls of an index: the file that tells the platform."""
    mounted = {"name": "built", "image": {"reference": image, "pullPolicy": "Always"}}
    container = {
        "name": "reader",
        "image": TINY,
        "command": ["cat", "/built/which"],
        "volumeMounts": [{"name": "built", "mountPath": "/built"}],
    }
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [mounted]}
    apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": spec}, namespace)
    kubectl(
        "wait", "pod/reader", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=200s", "-n", namespace
    )
    return kubectl("logs", "reader", "-n", namespace)


FILES = {"Dockerfile": CONTENT, host().architecture: "native", OTHER.removeprefix("linux/"): "other"}


def test_an_index_of_a_job_for_each_platform_through_an_operator_that_is_killed(
    changing, namespace, platform
):
    with platform.changed(**EMULATED):
        apply(several(namespace, FILES), namespace)
        until(lambda: len(jobs(namespace)) > 1, "Jobs of platforms", lambda: status_of(namespace))
        kill_operator()
        status = finished(namespace)
    assert status["phase"] == "Succeeded", status
    images = {each["platform"]: each["digest"] for each in status["platforms"]}
    assert list(images) == BOTH
    entries = {
        f"{each['platform']['os']}/{each['platform']['architecture']}": each["digest"]
        for each in index_of(namespace)["manifests"]
    }
    assert entries == images
    assert tagged(namespace) == status["digest"]
    assert status["image"] == f"{REGISTRY}/{namespace}/app@{status['digest']}"
    parts = {each["name"]: each for each in status["parts"]}
    assert list(parts) == ["source", *BOTH, "index"]
    assert {each["phase"] for each in parts.values()} == {"Succeeded"}
    assert {each["attempts"] for each in parts.values()} == {1}
    made = read("jobs", namespace, labels=UID)["items"]
    labels = {each["metadata"]["name"]: each["metadata"]["labels"][PART_LABEL] for each in made}
    assert labels == {each["job"]: name.replace("/", "-") for name, each in parts.items()}
    log = kubectl("logs", f"job/{parts[OTHER]['job']}", "-n", namespace)
    assert log.splitlines()[-1] == f"== done: {images[OTHER]}"


def test_an_index_is_signed_and_lists_attestations_where_steps_share_the_containers_root(
    changing, namespace, platform, tmp_path
):
    pair = make_key_pair(tmp_path)
    keys = {"cosign.key": pair.key.read_text(), "cosign.password": PASSWORD}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing"}, "stringData": keys}
    apply(secret, namespace)
    made = several(namespace, FILES)
    made["spec"]["output"] |= {
        "sign": {"secretRef": {"name": "signing"}},
        "attestations": {"form": "index"},
    }
    with platform.changed(**EMULATED, STRAKE_ISOLATION="chroot"):
        apply(made, namespace)
        status = finished(namespace)
    assert (status["phase"], status["isolation"]["kind"]) == ("Succeeded", "chroot"), status
    assert cosign_verify(status["image"], pair.public, bundle=False).returncode == 0
    repository = status["image"].partition("@")[0]
    for each in status["platforms"]:
        signed = cosign_verify(f"{repository}@{each['digest']}", pair.public, bundle=False)
        assert signed.returncode == 0, signed.stderr
    digests = [each["digest"] for each in index_of(namespace)["manifests"]]
    parts = [each for each in status["parts"] if "attestation" in each]
    assert {*digests} == {each[what] for each in parts for what in ("digest", "attestation")}
    assert len(digests) == 2 * len(BOTH)
    assert pulled(namespace, status["image"]).strip() == "native"


def test_a_platform_that_fails_is_named_and_no_tag_moves(changing, namespace, platform):
    with platform.changed(**EMULATED):
        files = {"Dockerfile": CONTENT, host().architecture: "native"}
        apply(several(namespace, files), namespace)
        status = finished(namespace)
    assert status["phase"] == "Failed"
    assert status["failure"]["message"].startswith(f"{OTHER}: "), status["failure"]
    assert status["failure"]["line"] == 3
    parts = {each["name"]: each for each in status["parts"]}
    assert (parts[OTHER]["phase"], parts["index"]["reason"]) == ("Failed", "Cancelled")
    assert tagged(namespace) is None
    assert "index" not in {
        each["metadata"]["labels"][PART_LABEL] for each in read("jobs", namespace)["items"]
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"platform": NATIVE}, "drop one of the two"),
        ({"platforms": ["linux/arm64", "linux/arm64/v8"]}, "platforms has each platform once"),
        ({"platforms": ["linux/amd64", "darwin/arm64"]}, "only images for Linux can be built"),
        ({"pod": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}}, "drop kubernetes.io/arch"),
    ],
)
def test_kubectl_refuses_what_makes_no_index(namespace, changes, words):
    made = manifest("FROM scratch\n", platforms=BOTH)
    create = ("create", "--dry-run=server", "-n", namespace, "-f", "-")
    kubectl(*create, manifest=made)
    made["spec"] |= changes
    with pytest.raises(ObjectError, match=words):
        kubectl(*create, manifest=made)


def test_a_platform_without_nodes_waits_for_one_says_so_and_goes_there(namespace):
    tolerant = {"tolerations": [{"key": "ghost", "operator": "Exists"}]}
    apply(several(namespace, FILES, pod=tolerant), namespace)

    def phases() -> dict[str, str]:
        return {each["name"]: each.get("phase", "") for each in status_of(namespace).get("parts", [])}

    def nodes() -> dict[str, str | None]:
        items = read("pods", namespace, labels=UID)["items"]
        return {each["metadata"]["labels"][PART_LABEL]: each["spec"].get("nodeName") for each in items}

    words = f"{OTHER}: no node fits the builder pod"
    until(lambda: words in status_of(namespace).get("progress", ""), words, lambda: status_of(namespace))
    until(lambda: phases().get(NATIVE) == "Succeeded", f"the image of {NATIVE}", phases)
    part = OTHER.replace("/", "-")
    assert nodes()[part] is None
    # Not before: the pods of the other Jobs tolerate it, too, and no kubelet runs any there.
    with node_of(OTHER.removeprefix("linux/"), namespace) as other:
        until(lambda: nodes()[part], f"a node for the pod of {OTHER}", nodes)
        assert nodes()[part] == other
        assert tagged(namespace) is None
        kubectl("annotate", "ib", "app", "-n", namespace, "strake.dev/cancel=1")
        assert finished(namespace)["failure"]["reason"] == "Cancelled"
        kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")
        until(lambda: not jobs(namespace), "the end of all Jobs", lambda: jobs(namespace))
    assert tagged(namespace) is None
