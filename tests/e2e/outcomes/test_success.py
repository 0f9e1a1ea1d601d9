"""An ImageBuild becomes an image that runs."""

from __future__ import annotations

from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.spec.reference import Reference
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY, REGISTRY
from tests.e2e.builds import (
    build,
    conditions,
    finished,
    jobs,
    manifest,
    pods,
    registry_secret,
    run_image,
)
from tests.e2e.conftest import TINY

TWO_STAGES = """\
ARG BASE=TINY
FROM ${BASE} AS build
ARG WHO=nobody
RUN echo "hello, ${WHO}" > /greeting
FROM ${BASE}
COPY --from=build /greeting /greeting
CMD ["cat", "/greeting"]
"""


def test_from_a_manifest_to_a_running_image(namespace):
    status = build(
        namespace,
        TWO_STAGES,
        args=[{"name": "WHO", "value": "cluster"}],
        output={"destinations": [f"{REGISTRY}/e2e/one:1", f"{REGISTRY}/e2e/two:latest"]},
    )
    assert conditions(status) == {
        "Ready": "True",
        "Succeeded": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Finished": "True",
    }
    assert status["image"] == f"{REGISTRY}/e2e/one@{status['digest']}"
    assert status["images"] == [status["image"], f"{REGISTRY}/e2e/two@{status['digest']}"]
    assert status["baseImages"][0]["reference"] == TINY
    assert status["platforms"][0]["digest"] == status["digest"]
    assert status["attempts"] == 1
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        for tag in ("e2e/one:1", "e2e/two:latest"):
            assert str(client.resolve(Reference.parse(f"{REGISTRY}/{tag}")).digest) == status["digest"]
    assert run_image(namespace, status["image"]) == "hello, cluster\n"


def test_what_kubectl_shows(namespace):
    status = build(namespace, "FROM TINY\nRUN echo hello\n")
    short = kubectl("get", "ib", "-n", namespace).splitlines()
    assert short[0].split() == ["NAME", "PHASE", "REASON", "IMAGE", "AGE"]
    assert short[1].split()[:2] == ["app", "Succeeded"]
    assert status["image"] in short[1].split()
    wide = kubectl("get", "ib", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split()[-4:] == ["DIGEST", "ISOLATION", "DURATION", "MESSAGE"]
    assert "imagebuild.strake.dev/app" in kubectl("get", "all", "-n", namespace)
    kubectl("wait", "ib/app", "-n", namespace, "--for=condition=Ready", "--timeout=5s")
    assert status["image"] in kubectl("describe", "ib", "app", "-n", namespace)
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace).splitlines()
    assert "#1/1 [stage-0] RUN echo hello" in log
    assert "#1 | hello" in log
    assert log[-1] == f"== done: {status['digest']}"
    assert not [line for line in log if line.startswith("{")]


def test_applying_the_same_manifest_again_changes_nothing(namespace):
    the_build = manifest("FROM TINY\nRUN true\n")
    apply(the_build, namespace)
    finished(namespace)
    before, runs = get("ib", "app", "-n", namespace), (jobs(namespace), pods(namespace))
    apply(the_build, namespace)
    kubectl("annotate", "ib", "app", "-n", namespace, "example.org/note=seen")
    status = finished(namespace)
    assert status == before["status"]
    assert (jobs(namespace), pods(namespace)) == runs


def test_a_config_map_is_a_context(namespace):
    files = {
        "Dockerfile": f"FROM {TINY}\nCOPY . /ctx\nCMD ls -A /ctx && cat /ctx/motd\n",
        "motd": "from a map\n",
    }
    apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ctx"}, "data": files},
        namespace,
    )
    status = build(namespace, "", source={"configMap": {"name": "ctx"}})
    assert status["phase"] == "Succeeded", status
    assert run_image(namespace, status["image"]) == "Dockerfile\nmotd\nfrom a map\n"


def test_secrets_open_a_registry(namespace):
    registry_secret(namespace, "push")
    locked = f"{LOCKED_REGISTRY}/e2e/locked:1"
    status = build(
        namespace,
        "FROM TINY\nRUN echo locked > /base\n",
        output={"destinations": [locked]},
        pushSecret={"name": "push"},
    )
    assert status["phase"] == "Succeeded", status
    assert LOCKED_PASSWORD not in kubectl("logs", f"job/{status['job']}", "-n", namespace)

    registry_secret(namespace, "pull")
    apply(manifest(f"FROM {locked}\nRUN cat /base\n", name="next", pullSecret={"name": "pull"}), namespace)
    status = finished(namespace, name="next")
    assert status["phase"] == "Succeeded", status
    assert status["baseImages"][0]["reference"] == locked
