"""kaniko's invocations in an ordinary pod, as a pipeline with its image has them: only the image is another.

One pod of the builder's image runs them one after the other from a shell, as GitLab's runner does with the entry
point taken away. Context and credentials are mounted read-only where kaniko's users mount them.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import shlex
from collections.abc import Iterator

import pytest

from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import NODE_IP, REGISTRY
from tests.demo.own_images import own_images
from tests.e2e.conftest import TINY
from tests.fixtures.content.artifacts import archive
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.object_stores import BLOBS, KEY, running_azure, running_gcs
from tests.fixtures.servers.proxy import running_proxy
from tests.fixtures.servers.s3 import running_s3
from tests.fixtures.servers.web import make_repository, running_web_server

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

FROM_ELSEWHERE = f"FROM {TINY}\nCOPY file /file\nRUN test -s /file\n"
PACKED = gzip.compress(archive({"app/Dockerfile": FROM_ELSEWHERE, "app/file": "from an archive"}))
FLAGS = f"--dockerfile=Dockerfile --insecure --insecure-pull --destination={IMAGE}"
IN_APP = "--context-sub-path=app"


@pytest.fixture(scope="module")
def contexts(platform, tmp_path_factory):
    """The words for a context of each kind, by name; what a pod needs for them: a CA and variables."""
    served = tmp_path_factory.mktemp("served")
    made = make_certificates(tmp_path_factory.mktemp("certificates"), f"IP:{NODE_IP}", f"DNS:{BLOBS}")
    packed = {"context.tar.gz": PACKED}
    make_repository(served / "app", Dockerfile=FROM_ELSEWHERE, file="from a commit")
    (served / "context.tar.gz").write_bytes(PACKED)
    with contextlib.ExitStack() as scope:
        web = scope.enter_context(running_web_server(served, made, NODE_IP))
        s3 = scope.enter_context(running_s3(packed, NODE_IP))
        google = scope.enter_context(running_gcs(packed, NODE_IP))
        azure = running_azure(packed, made, tmp_path_factory.mktemp("azurite"), NODE_IP)
        proxy = scope.enter_context(running_proxy(NODE_IP))
        proxy.ports = {BLOBS: scope.enter_context(azure)}
        words = {
            "tar": f"--context=tar:///workspace/packed {IN_APP}",
            "stdin": f"--context=tar://stdin {IN_APP} < /workspace/packed",
            "git": f"--context=git://{web.url.removeprefix('https://')}/app/.git#refs/heads/main",
            "git over https": f"--context={web.url}/app/.git --git branch=main",
            "archive": f"--context={web.url}/context.tar.gz {IN_APP}",
            "bucket": f"--context=s3://box/context.tar.gz {IN_APP}",
            "bucket of google": f"--context=gs://box/context.tar.gz {IN_APP}",
            "bucket of azure": f"--context=https://{BLOBS}/box/context.tar.gz {IN_APP}",
        }
        variables = {"S3_ENDPOINT": s3.url, "S3_FORCE_PATH_STYLE": "true", "AWS_REGION": "us-east-1"}
        variables |= {"STORAGE_EMULATOR_HOST": google, "AZURE_STORAGE_ACCESS_KEY": KEY}
        # The name of the account leads to the server that stands for it.
        variables |= {"HTTPS_PROXY": proxy.url, "NO_PROXY": NODE_IP}
        yield words, made.ca.read_text(), variables | s3.reader


def context(words: dict[str, str], ca: str, variables: dict[str, str]) -> dict:
    exported = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    elsewhere = "".join(
        f"echo '== {name}'\n/kaniko/executor {FLAGS}:{name.replace(' ', '-')} {each} 2>&1\necho status $?\n"
        for name, each in words.items()
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "context"},
        "data": {
            "Dockerfile": DOCKERFILE,
            "Failing": f"FROM {TINY}\nRUN exit 3\n",
            "file": "x",
            "config.json": "{}",
            "additional-ca-cert-bundle.crt": ca,
            "script": exported
            + elsewhere
            + "".join(
                f"echo '== {name}'\n/kaniko/executor {words} 2>&1\necho status $?\n"
                for name, words in INVOCATIONS.items()
            )
            + f"echo '== warmed'\n/kaniko/warmer --image={TINY} --insecure-pull 2>&1\necho status $?\n"
            "for each in digest name tag; do echo == $each; cat /out/$each; echo; done\n"
            "echo == left; ls /out /out/layout /cache/layers /\ntrue\n",
        },
        "binaryData": {"packed": base64.b64encode(PACKED).decode()},
    }


def pod(image: str) -> dict:
    mounts = [
        {"name": "context", "mountPath": "/workspace", "readOnly": True},
        {"name": "docker", "mountPath": "/kaniko/.docker", "readOnly": True},
        {"name": "out", "mountPath": "/out"},
        {"name": "cache", "mountPath": "/cache"},
        {"name": "ca", "mountPath": "/kaniko/ssl/certs", "readOnly": True},
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
                part("docker", "config.json"),
                part("ca", "additional-ca-cert-bundle.crt"),
                {"name": "out", "emptyDir": {}},
                {"name": "cache", "emptyDir": {}},
            ],
        },
    }


def part(name: str, key: str) -> dict:
    """Return a volume with one file of the ConfigMap."""
    return {"name": name, "configMap": {"name": "context", "items": [{"key": key, "path": key}]}}


def parts(log: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"^== ([a-z ]+)\n(.*?)(?=^== [a-z ]+\n|\Z)", log, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


@pytest.fixture
def results(contexts, namespace) -> dict[str, str]:
    """What each invocation wrote, by its name."""
    apply([context(*contexts), pod(own_images(print)["builder"])], namespace)
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


def test_the_invocations_of_kanikos_users(results, contexts):
    kinds = contexts[0]
    statuses = {
        name: text.rpartition("status ")[2].strip() for name, text in results.items() if "status " in text
    }
    good = dict.fromkeys((*kinds, *INVOCATIONS, "warmed"), "0")
    assert statuses == good | {"failing": "7", "wrong": "2"}, results
    layers = {kind: len(manifest(kind.replace(" ", "-"))[1].layers) for kind in kinds}
    assert layers == dict.fromkeys(kinds, layers["tar"]), "the same image, whatever its context came by"
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
