"""Whole images built in real pods: each way of isolation builds what the reference built, with the same digest.

One pod for each way, as anybody may make it in a namespace that enforces Pod Security baseline: it has the builder's
image and builds its cases one after the other, through the command line. All are reproducible builds, so that the
digests of the ways can be compared. `make conformance` builds every case, another run those that say something about
a way (`tests/conformance/ways.py`).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import secrets
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from strake_oci.spec.reference import Reference
from tests.cluster.binaries import binaries_directory
from tests.cluster.kubectl import kubectl
from tests.cluster.lifecycle import environment
from tests.cluster.objects import apply
from tests.cluster.settings import DIR, REGISTRY
from tests.conformance import in_pod, ways
from tests.conformance.cases import CASES
from tests.conformance.contexts import write_context
from tests.conformance.flatten import flatten
from tests.conformance.test_images import Bases, check_image
from tests.demo.own_images import own_images
from tests.e2e.conftest import make_namespace
from tests.fixtures.servers.registry import LocalRegistry
from tests.images.push import push_image

NAMES = {"BASE": f"{REGISTRY}/conformance/debian:12", "TINY": f"{REGISTRY}/conformance/busybox:1"}
FORMS: dict[str, tuple[dict, dict]] = {
    ways.NESTED: ({"hostUsers": False}, {"procMount": "Unmasked"}),
    ways.NESTED_CONTAINER_PROC: ({"hostUsers": False}, {}),
    ways.CHROOT_OWN_USERS: (
        {"hostUsers": False, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
        {},
    ),
}
"""Way → what the pod's spec and its container's securityContext ask for, beside nothing."""
ISOLATION = {
    ways.NESTED: ("nested", True),
    ways.NESTED_CONTAINER_PROC: ("nested", False),
    ways.CHROOT_OWN_USERS: ("chroot", False),
}
VOLUMES = {
    ways.CHROOT_OWN_USERS: (),
    ways.NESTED: ("work", "cache"),
    ways.NESTED_CONTAINER_PROC: ("work", "cache"),
}
"""Way → names in /strake that are an emptyDir: overlay is not to be had on the container's root."""
SECONDS = 300
"""How long a case may be waited for."""
PYTHON = "/strake/root/opt/strake/bin/python3"
# Each chroot of a Debian is a copy on the node's disk, where ext4 takes ten seconds to make files after many were
# removed: of those, the ones with mounts.
USUAL = {
    way: tuple(
        name
        for name in ways.ABOUT_RUN
        if way != ways.CHROOT_OWN_USERS or "BASE" not in CASES[name].dockerfile or name.startswith("mount_")
    )
    for way in FORMS
}
CHOSEN = {way: ways.chosen(USUAL[way]) for way in FORMS}
IN_ALL = [
    name
    for name in CHOSEN[ways.CHROOT_OWN_USERS]
    if name not in ways.OTHER_LAYERS and not {(way, name) for way in FORMS} & {*ways.OTHERWISE, *ways.REFUSED}
]


class Results:
    """What the pods of a namespace write, case by case."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._found: dict[tuple[str, str], dict] = {}
        self._ended: dict[str, str] = {}

    def read(self, way: str, pod: subprocess.Popen[str]) -> None:
        """Read a pod's log to its end; other threads see what comes."""
        other = []
        for line in pod.stdout or ():
            if line.startswith('{"name": '):
                result = json.loads(line)
                with self._news:
                    self._found[way, result["name"]] = result
                    self._news.notify_all()
            else:
                other.append(line)
        with self._news:
            self._ended[way] = "".join(other)
            self._news.notify_all()

    def of(self, way: str, name: str) -> dict:
        """Wait for a case's result, and return it."""
        key = way, name
        with self._news:
            assert self._news.wait_for(lambda: key in self._found or way in self._ended, SECONDS), (
                f"no news of {name} in {way} for {SECONDS} s"
            )
            assert key in self._found, f"the pod ended before {name}: {self._ended[way]}"
            return self._found[key]


@pytest.fixture(scope="module")
def results(platform, tmp_path_factory) -> Iterator[Results]:
    """The pods' results; all pods build at the same time."""
    image = own_images(lambda line: print(line, file=sys.stderr))["builder"]
    for word, name in (("BASE", "base"), ("TINY", "tiny")):
        push_image(name, NAMES[word])
    namespace = f"conformance-{secrets.token_hex(4)}"
    make_namespace(namespace)
    found, readers = Results(), []
    try:
        for way in FORMS:
            apply([plan(way, tmp_path_factory.mktemp(way)), pod(way, image)], namespace)
        running = "--for=jsonpath={.status.phase}=Running"
        kubectl("wait", "pods", "--all", running, "-n", namespace, "--timeout=200s")
        for way in FORMS:
            log = subprocess.Popen(
                [binaries_directory() / "kubectl", "logs", "--follow", way, "-n", namespace],
                stdout=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            readers.append((log, threading.Thread(target=found.read, args=(way, log))))
            readers[-1][1].start()
        yield found
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")
        for log, thread in readers:
            with log:
                log.terminate()
                thread.join()


def plan(way: str, scratch: Path) -> dict:
    """Return the ConfigMap with a pod's program, its cases' contexts and what to do with them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as contexts:
        for name in CHOSEN[way]:
            (scratch / name).mkdir()
            write_context(CASES[name], scratch / name, NAMES)
            contexts.add(scratch / name, name)
    command = ["/strake/strake", "build", "--isolation", ISOLATION[way][0], "--reproducible"]
    command += ["--insecure-registry", REGISTRY]
    cases = [
        {
            "name": name,
            "flags": [
                *ways.flags(CASES[name], f"{in_pod.HOME}/contexts/{name}"),
                *(["--cache-dir", "/strake/cache"] if ways.shares_cache(CASES[name]) else []),
                "--destination",
                destination(way, name),
            ],
            "environment": {f"SECRET_{secret}": value for secret, value in CASES[name].secrets.items()},
        }
        for name in CHOSEN[way]
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": way},
        "binaryData": {"cases.tar.gz": base64.b64encode(packed.getvalue()).decode()},
        "data": {
            "in_pod.py": Path(in_pod.__file__).read_text(),
            "plan.json": json.dumps({"command": command, "cases": cases}),
        },
    }


def pod(way: str, image: str) -> dict:
    more, security = FORMS[way]
    mounts = [{"name": "plan", "mountPath": "/strake/plan"}]
    mounts += [{"name": name, "mountPath": f"/strake/{name}"} for name in VOLUMES[way]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": way},
        "spec": {
            **more,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "builder",
                    "image": image,
                    "command": [PYTHON, "/strake/plan/in_pod.py"],
                    "args": ["/strake/plan/cases.tar.gz", "/strake/plan/plan.json"],
                    "securityContext": security,
                    "volumeMounts": mounts,
                }
            ],
            "volumes": [
                {"name": "plan", "configMap": {"name": way}},
                *({"name": name, "emptyDir": {}} for name in VOLUMES[way]),
            ],
        },
    }


def destination(way: str, name: str) -> str:
    return f"{REGISTRY}/conformance/result/{name.replace('_', '-')}:{way}"


@pytest.fixture(scope="module")
def bases(results) -> Bases:
    registry = LocalRegistry(REGISTRY, DIR / "registry")
    flat = {}
    with registry.client() as client:
        for word, name in NAMES.items():
            reference = Reference.parse(name)
            flat[word] = flatten(client, reference.repository, reference.tag)
    return Bases(registry, NAMES, flat)


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in CASES for way in FORMS if name in CHOSEN[way]]
)
def test_image_is_the_reference_image(results, bases, name, way):
    found, expected = results.of(way, name), ways.expected_in(way, name)
    if (way, name) in ways.REFUSED:
        assert ways.REFUSED[way, name] in found["error"]
        return
    if expected["outcome"] == "failure":
        assert found["status"] in range(2, 8), found
        assert "error: " in found["error"]
        assert "Traceback" not in found["error"]
        return
    assert found["status"] == 0, found["error"]
    assert (found["isolation"]["kind"], found["isolation"]["ownProc"]) == ISOLATION[way]
    check_image(destination(way, name), expected, bases)


@pytest.mark.parametrize("name", IN_ALL)
def test_every_way_gives_the_same_digest(results, bases, name):
    """A case that fails has none in any of them."""
    digests = {way: results.of(way, name).get("digest") for way in FORMS}
    assert len(set(digests.values())) == 1, layers(digests, name, bases)


def layers(digests, name, bases):
    """Return what the images of the ways are made of, and what is in layers that not all of them have."""
    found = {}
    with bases.registry.client() as client:
        for way, digest in digests.items():
            reference = Reference.parse(destination(way, name))
            manifest = json.loads(client.manifest(reference.repository, reference.tag)[1])
            found[way] = {"digest": digest, "layers": [each["digest"] for each in manifest["layers"]]}
    in_all = set.intersection(*({*each["layers"]} for each in found.values()))
    others = {digest for each in found.values() for digest in each["layers"]} - in_all
    return json.dumps(found | {digest: members(digest) for digest in others}, indent=1)


def members(digest):
    """Return the fields of a layer's members, and the digest of its tar."""
    where = next(DIR.glob(f"registry/**/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"))
    plain = gzip.decompress(where.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as layer:
        fields = [{**each.get_info(), "type": repr(each.type)} for each in layer]
    return {"diff ID": hashlib.sha256(plain).hexdigest(), "members": fields}
