"""The registry client against real registries: two generations, with and without TLS and authentication."""

from __future__ import annotations

import contextlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.credentials import Credential
from strake_oci.errors import BlobUnknownError, ManifestUnknownError, NotFoundError
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.faults.moves import always_in_parts
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.certificates import certificates
from tests.fixtures.servers.registry import DEBIAN_REGISTRY, running_registry
from tests.fixtures.servers.token_server import running_token_server

__all__ = ["certificates"]

USER, PASSWORD = "builder", "correct horse"


class Known:
    """A credential for everything."""

    def __init__(self, credential):
        self.credential = credential

    def lookup(self, repository):
        return self.credential

    def describe(self):
        return "the test"


@pytest.fixture(
    scope="module", params=["plain", "tls", "htpasswd", "htpasswd+tls", "token", "token+tls", "refresh token"]
)
def access(request):
    return request.param


@pytest.fixture(scope="module", params=["Debian", "current"])
def program(request):
    return DEBIAN_REGISTRY if request.param == "Debian" else distribution()


@pytest.fixture(scope="module")
def registry(program, access, certificates):
    with contextlib.ExitStack() as stack:
        options = {"program": program}
        tls = "tls" in access
        if tls:
            options["tls"] = certificates
        if "htpasswd" in access:
            options["htpasswd"] = {USER: PASSWORD}
        if "token" in access:
            tokens = running_token_server(
                certificates, tls=tls, users={USER: PASSWORD}, refresh_tokens={"long-lived": USER}
            )
            options["tokens"] = stack.enter_context(tokens)
        yield stack.enter_context(running_registry(**options))


@pytest.fixture
def client(registry, access):
    credential = Credential("test", USER, PASSWORD)
    if access == "refresh token":
        credential = Credential("test", identity_token="long-lived")
    with registry.client(credentials=Known(credential)) as made:
        yield made


def test_push_and_pull(client, registry):
    repository = registry.repository("team/app")
    image = make_image()
    image.write(RegistryImages(client, repository), "v1")
    assert client.resolve(repository.tag("v1")) == image.descriptor
    assert client.manifest(repository, "v1") == (image.descriptor, image.data)
    assert client.manifest(repository, image.descriptor.digest) == (image.descriptor, image.data)
    for descriptor, data in image.blobs:
        with client.open_blob(repository, descriptor) as blob:
            assert blob.read() == data


def test_first_request_may_be_an_upload(client, registry):
    data = os.urandom(3_000_000)
    with client.start_upload(registry.repository("team/stream")) as upload:
        upload.write(data)
        upload.commit(Digest.sha256(data))
    assert client.blob_exists(registry.repository("team/stream"), Digest.sha256(data))


def test_large_blob_comes_over_several_connections(client, registry, monkeypatch):
    always_in_parts(monkeypatch)
    repository, data = registry.repository("team/large"), os.urandom(5_000_000)
    descriptor = Descriptor.of("application/octet-stream", data)
    client.push_blob(repository, descriptor, lambda: io.BytesIO(data))
    with client.open_blob(repository, descriptor) as blob:
        assert blob.read() == data
    asked = [
        line for line in registry.requests() if line.startswith("GET") and str(descriptor.digest) in line
    ]
    assert len(asked) > 10


def test_blob_is_mounted_across_repositories(client, registry):
    source, target = registry.repository("base/one"), registry.repository("team/mounted")
    data = os.urandom(1000)
    descriptor = Descriptor.of("application/octet-stream", data)
    client.push_blob(source, descriptor, lambda: io.BytesIO(data))
    assert client.mount_blob(target, descriptor.digest, source)
    assert client.blob_exists(target, descriptor.digest)
    assert not client.mount_blob(target, Digest.sha256(b"never pushed"), source)


def test_absent_things(client, registry):
    repository = registry.repository("team/absent")
    make_image(b"layer").write(RegistryImages(client, repository), "there")
    with pytest.raises(ManifestUnknownError):
        client.resolve(repository.tag("elsewhere"))
    with pytest.raises(ManifestUnknownError):
        client.manifest(repository, Digest.sha256(b"?"))
    with pytest.raises(BlobUnknownError):
        client.open_blob(repository, Descriptor.of("x", b"?"))
    assert not client.blob_exists(repository, Digest.sha256(b"?"))
    with pytest.raises(NotFoundError):
        client.tags(registry.repository("team/no-such-repository"))


def test_all_tags(client, registry):
    images = RegistryImages(client, registry.repository("team/many"))
    image = make_image(b"layer")
    image.write(images, None)
    wanted = [f"v{number:03}" for number in range(30)]
    for tag in wanted:
        images.push_manifest(image.data, image.descriptor.media_type, tag)
    assert sorted(client.tags(registry.repository("team/many"))) == wanted


def test_manifest_can_be_deleted(client, registry):
    repository = registry.repository("team/deleted")
    image = make_image(b"layer")
    image.write(RegistryImages(client, repository), "v1")
    client.delete_manifest(repository, image.descriptor.digest)
    with pytest.raises(ManifestUnknownError):
        client.resolve(repository.at(image.descriptor.digest))


def test_threads_share_a_client(client, registry):
    repository = registry.repository("team/threads")
    blobs = [os.urandom(200_000 + number) for number in range(24)]

    def there_and_back(data):
        descriptor = Descriptor.of("application/octet-stream", data)
        client.push_blob(repository, descriptor, lambda: io.BytesIO(data))
        with client.open_blob(repository, descriptor) as blob:
            return blob.read() == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, blobs))
