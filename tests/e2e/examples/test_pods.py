"""The examples for pipelines in a cluster, as pods: the files as a reader pastes them, what the tool adds imitated.

The registry wants TLS of a CA of its own, and a password. Pods are ordinary ones: of the baseline, without
user namespaces.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest

from strake_oci.credentials import default_credentials
from strake_oci.registry.images import RegistryImages
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.cluster.objects import apply
from tests.cluster.settings import NODE_IP
from tests.conformance.flatten import flatten
from tests.demo.own_images import own_image
from tests.e2e.examples.github import github, served
from tests.e2e.examples.pipeline import Pipeline
from tests.e2e.examples.pods import TOOLS
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.registry import running_registry
from tests.images.layouts import image_layout

DOCKERFILE = """\
FROM TINY AS base
WORKDIR /home/app
RUN test ! -e /kaniko/executor && mkdir -p /var/lib/app && echo made > /home/app/made
FROM base
COPY file /home/app/file
RUN test -s file && cp made /made && touch /var/lib/app/there
"""
"""Directories that pipelines mount something below, and images have files in."""


def credentials(host: str) -> str:
    return json.dumps({"auths": {host: {"auth": base64.b64encode(b"me:secret").decode()}}})


@pytest.fixture(scope="module")
def locked(platform, tmp_path_factory):
    """A registry with TLS and a password, and its certificates."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"), f"IP:{NODE_IP}")
    with running_registry(tls=made, address=NODE_IP, htpasswd={"me": "secret"}) as registry:
        source = default_credentials(
            {"DOCKER_AUTH_CONFIG": credentials(registry.host), "HOME": "/nonexistent"}
        )
        with registry.client(credentials=source) as client:
            images = RegistryImages(client, registry.repository("tiny"))
            copy_image(Layout(image_layout("tiny")), "latest", images, "1")
            yield registry, made, client


@pytest.fixture
def pipeline(namespace, locked):
    registry, made, _ = locked
    text = DOCKERFILE.replace("TINY", f"{registry.host}/tiny:1")
    apply(
        [
            config_map("files", {"Dockerfile": text, "file": "from the context"}),
            config_map("ca", {"additional-ca-cert-bundle.crt": made.ca.read_text()}),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "push"},
                "type": "kubernetes.io/dockerconfigjson",
                "stringData": {".dockerconfigjson": credentials(registry.host)},
            },
        ],
        namespace,
    )
    return Pipeline(namespace, registry.host, own_image("builder", print), own_image("debug", print))


def config_map(name: str, data: dict[str, str]) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.mark.parametrize("tool", TOOLS)
def test_an_example_builds_in_the_pod_of_its_tool(pipeline, locked, tool):
    registry, _, client = locked
    TOOLS[tool](pipeline, f"{registry.host}/team/{tool}:1")
    check(flatten(client, registry.repository(f"team/{tool}"), "1").paths)


def test_the_example_for_github_builds_in_the_pod_of_its_runner(pipeline, locked, tmp_path):
    registry, made, client = locked
    text = DOCKERFILE.replace("TINY", f"{registry.host}/tiny:1")
    with served(tmp_path, made, Dockerfile=text, file="of a commit") as (url, commit):
        github(pipeline, f"{registry.host}/team/github:{commit}", url, commit)
    check(flatten(client, registry.repository("team/github"), commit).paths)


def check(found: Mapping[str, object]) -> None:
    """See that an image has what its Dockerfile makes, and nothing of the pod it was built in."""
    assert {
        "/home/app/file",
        "/home/app/made",
        "/made",
        "/var/lib/app/there",
    } <= found.keys()
    assert [
        path for path in found if path.startswith(("/kaniko", "/strake", "/tekton", "/builds", "/__"))
    ] == []
    assert {path for path in found if path.startswith(("/home/", "/var/"))} == {
        "/home/app",
        "/home/app/file",
        "/home/app/made",
        "/var/lib",
        "/var/lib/app",
        "/var/lib/app/there",
    }
