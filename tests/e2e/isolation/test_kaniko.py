"""kaniko's invocations in an ordinary pod, as a pipeline with its image has them: only the image is another.

One pod of the builder's image runs them one after the other from a shell, as GitLab's runner does with the entry
point taken away. Context and credentials are mounted read-only where kaniko's users mount them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.cluster.kubectl import apply, kubectl
from tests.cluster.settings import REGISTRY
from tests.demo.own_images import own_images
from tests.e2e.conftest import BASELINE, TINY

IMAGE = f"{REGISTRY}/kaniko"
INSECURE = "--insecure --insecure-pull"
CACHE = f"--cache=true --cache-repo={IMAGE}/cache --destination={IMAGE}:cached {INSECURE}"
INVOCATIONS = {
    "pushed": f"--context=dir:///workspace --dockerfile=Dockerfile --destination={IMAGE}:1 {INSECURE}"
    " --digest-file=/out/digest --image-name-with-digest-file=/out/name"
    " --image-name-tag-with-digest-file /out/tag",
    "files": f"-f /workspace/Dockerfile --no-push -d {IMAGE}:none --tarPath=/out/tar --oci-layout-path=/out/layout"
    f" {INSECURE}",
    "one layer": f"--single-snapshot --reproducible --compression=zstd --label=team=web -d {IMAGE}:single {INSECURE}",
    "cached": CACHE,
    "cached again": f"{CACHE} --snapshot-mode=redo --use-new-run",
    "planned": f"--dryrun --verbosity=warn --no-push {INSECURE}",
    "failing": f"--dockerfile=Failing -d {IMAGE}:failing {INSECURE}",
    "wrong": "--no-such-flag",
}
DOCKERFILE = f"""\
FROM {TINY}
COPY file /file
RUN test ! -e /kaniko/executor && test -s /file && mkdir /made && rm /file
RUN test -d /made && touch /made/last
"""


def context() -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "context"},
        "data": {
            "Dockerfile": DOCKERFILE,
            "Failing": f"FROM {TINY}\nRUN exit 3\n",
            "file": "x",
            "config.json": "{}",
            "script": "".join(
                f"echo '== {name}'\n/kaniko/executor {words} 2>&1\necho status $?\n"
                for name, words in INVOCATIONS.items()
            )
            + f"echo '== warmed'\n/kaniko/warmer --image={TINY} --insecure-pull 2>&1\necho status $?\n"
            "for each in digest name tag; do echo == $each; cat /out/$each; echo; done\n"
            "echo == left; ls /out /out/layout /cache/layers /\ntrue\n",
        },
    }


def pod(image: str) -> dict:
    mounts = [
        {"name": "context", "mountPath": "/workspace", "readOnly": True},
        {"name": "docker", "mountPath": "/kaniko/.docker", "readOnly": True},
        {"name": "out", "mountPath": "/out"},
        {"name": "cache", "mountPath": "/cache"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kaniko"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "build",
                    "image": image,
                    "command": ["/bin/sh", "/workspace/script"],
                    "volumeMounts": mounts,
                }
            ],
            "volumes": [
                {"name": "context", "configMap": {"name": "context"}},
                {
                    "name": "docker",
                    "configMap": {
                        "name": "context",
                        "items": [{"key": "config.json", "path": "config.json"}],
                    },
                },
                {"name": "out", "emptyDir": {}},
                {"name": "cache", "emptyDir": {}},
            ],
        },
    }


def parts(log: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"^== ([a-z ]+)\n(.*?)(?=^== [a-z ]+\n|\Z)", log, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


@pytest.fixture
def results(platform, namespace) -> dict[str, str]:
    """What each invocation wrote, by its name."""
    kubectl("label", "namespace", namespace, *BASELINE, "--overwrite")
    apply([context(), pod(own_images(print)["builder"])], namespace)
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", "pod/kaniko", ended, "-n", namespace, "--timeout=240s", timeout=260)
    return dict(parts(kubectl("logs", "kaniko", "-n", namespace)))


def manifest(tag: str) -> tuple[str, Manifest]:
    reference = Reference.parse(f"{IMAGE}:{tag}")
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        descriptor, data = client.manifest(reference.repository, tag)
    found = parse(data, descriptor.media_type)
    assert isinstance(found, Manifest)
    return str(descriptor.digest), found


def test_the_invocations_of_kanikos_users(results):
    statuses = {
        name: text.rpartition("status ")[2].strip() for name, text in results.items() if "status " in text
    }
    assert statuses == dict.fromkeys((*INVOCATIONS, "warmed"), "0") | {"failing": "7", "wrong": "2"}, results
    digest, pushed = manifest("1")
    assert results["digest"].strip() == digest
    assert results["name"].strip() == f"{IMAGE}@{digest}"
    assert results["tag"].strip() == f"{IMAGE}:1@{digest}"
    single = manifest("single")[1]
    assert len(pushed.layers) - len(single.layers) == 2
    assert single.layers[-1].media_type.endswith("+zstd")
    assert "CACHED" in results["cached again"]
    assert "note: --snapshot-mode is not needed" in results["cached again"]
    assert "stage 0 from" in results["planned"] or "stage stage-0 from" in results["planned"]
    assert "Failing:2: " in results["failing"]
    left = results["left"].split()
    assert {"tar", "oci-layout", "kaniko", "strake", "workspace"} <= set(left)
    assert "made" not in left
