"""Artifacts that refer to images, on registries with and without the Referrers API."""

from __future__ import annotations

import io
import json

import pytest

from strake_oci.errors import InvalidDocumentError
from strake_oci.registry.images import RegistryImages
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import DEBIAN_REGISTRY, running_registry


@pytest.fixture(scope="module", params=["Debian", "current"])
def registry(request):
    with running_registry(
        program=DEBIAN_REGISTRY if request.param == "Debian" else distribution()
    ) as running:
        yield running


def test_referrers_are_listed_by_type(registry):
    image = make_image(b"layer")
    with registry.client() as client:
        repository = registry.repository("signed/app")
        images = RegistryImages(client, repository)
        image.write(images, "1")
        assert client.referrers(repository, image.descriptor.digest) == ()
        images.push_blob(EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
        pushed = {}
        for kind in ("application/x-sbom", "application/x-signature"):
            artifact = make_artifact(kind, subject=image.descriptor, annotations={"made.by": "test"})
            pushed[kind] = images.push_manifest(artifact.serialize(), artifact.media_type)
        found = client.referrers(repository, image.descriptor.digest)
        assert {entry.artifact_type: entry.digest for entry in found} == {
            kind: descriptor.digest for kind, descriptor in pushed.items()
        }
        [one] = client.referrers(repository, image.descriptor.digest, "application/x-sbom")
        assert one.digest == pushed["application/x-sbom"].digest
        assert one.annotations == {"made.by": "test"}


def test_api_is_used_where_it_is():
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:" + "a" * 64,
        "size": 5,
        "artifactType": "application/x-sbom",
    }
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }
    digest = make_image(b"x").descriptor.digest

    def answer(exchange):
        if "/referrers/" not in exchange.route:
            return False
        if "page=2" in exchange.path:
            exchange.reply(200, json.dumps({**document, "manifests": [{**entry, "size": 6}]}).encode())
        else:
            link = f'<{exchange.route}?page=2>; rel="next"'
            exchange.reply(200, json.dumps(document).encode(), Link=link)
        return True

    with FaultyRegistry() as registry, registry.client() as client:
        registry.add(answer)
        found = client.referrers(registry.repository(), digest, "application/x-sbom")
        assert [one.size for one in found] == [5, 6]
        assert "artifactType=application%2Fx-sbom" in registry.seen[0].path


@pytest.mark.parametrize("code", [400, 404, 405, 406, 200])
def test_registries_without_the_api_say_so_in_many_ways(code):
    subject = make_image(b"x").descriptor
    listed = Descriptor("application/x", Digest.sha256(b"signature"), 9)
    with FaultyRegistry() as registry, registry.client() as client:
        registry.add(faults.send(b"<p>?", path="/referrers/", code=code, Content_Type="text/html"))
        tag = f"sha256-{subject.digest.encoded}"
        registry.put_manifest(Index((listed,)).serialize(), mediatype.OCI_INDEX, tag)
        assert client.referrers(registry.repository(), subject.digest) == (listed,)


def test_artifact_needs_a_type():
    with pytest.raises(InvalidDocumentError):
        make_artifact("")
