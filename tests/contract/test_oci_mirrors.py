"""Mirrors that fail, lie or cannot be reached: a pull gets what was asked for, from somebody."""

from __future__ import annotations

import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.errors import DigestMismatchError, MirrorError
from strake_oci.registry import ClientSettings, Mirror, RegistryClient, RegistrySettings
from strake_oci.registry.images import RegistryImages
from strake_oci.registry.mirrors import UNREACHED, MirrorRecord
from strake_oci.signatures import SignatureForm
from strake_oci.signatures.keys import SigningKey, VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.signatures.writing import ImageSigner
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.archive_reader import LayoutArchive
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from strake_oci.verify import despite_mirrors
from tests.faults import faults
from tests.faults.moves import LARGE, SMALL
from tests.faults.registry import FAST, FaultyRegistry
from tests.fixtures.content.images import make_image
from tests.fixtures.narrow import pipe_into
from tests.fixtures.servers.registry import free_port, running_registry
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

MANIFEST = b'{"schemaVersion":2}'
PLAIN = RegistrySettings(plain_http=True)


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def mirror():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def client(registry, mirror):
    for server in (registry, mirror):
        server.put_blob(LARGE)
        server.put_manifest(MANIFEST, mediatype.OCI_MANIFEST, "1")
    with mirrored(registry.host, mirror.host) as made:
        yield made


def mirrored(source, *mirrors, only=False, **options):
    entry = RegistrySettings(plain_http=True, mirrors=tuple(map(Mirror, mirrors)), mirrors_only=only)
    return RegistryClient(
        ClientSettings(dict.fromkeys(mirrors, PLAIN) | {source: entry}), retry=FAST, **options
    )


def read(client, registry, data=LARGE):
    with client.open_blob(registry.repository(), Descriptor.of("x", data)) as blob:
        return blob.read()


class TestPassedOver:
    """A mirror that fails is passed over, wherever it happens."""

    def test_healthy_mirror_serves_everything(self, registry, mirror, client):
        client.manifest(registry.repository(), "1")
        assert read(client, registry) == LARGE
        assert not registry.seen

    @pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
    def test_refusal(self, registry, mirror, client, code):
        mirror.add(faults.status(code, method="GET|HEAD", times=99))
        client.resolve(registry.repository().tag("1"))
        assert read(client, registry) == LARGE

    def test_break_in_the_middle(self, registry, mirror, client):
        mirror.add(
            faults.drop_download(after=2_000_000),
            faults.status(503, method="GET", path="/blobs/", times=99, skip=0),
        )
        assert read(client, registry) == LARGE
        assert registry.seen[0].headers["Range"] == "bytes=2000000-"

    def test_wrong_manifest(self, registry, mirror, client):
        mirror.add(faults.send(b"{}", path="/manifests/"))
        wanted = Digest.sha256(MANIFEST)
        assert client.manifest(registry.repository(), wanted)[1] == MANIFEST

    def test_blob_of_another_length(self, registry, mirror, client):
        mirror.add(faults.send(LARGE + b"x", path="/blobs/"))
        assert read(client, registry) == LARGE

    def test_page_of_a_proxy_in_place_of_a_tag(self, registry, mirror, client):
        page = b"<!DOCTYPE html><p>Please log in"
        mirror.add(faults.send(page, method="GET|HEAD", path="/manifests/", Content_Type="text/html"))
        wanted = Descriptor.of(mediatype.OCI_MANIFEST, MANIFEST)
        assert client.resolve(registry.repository().tag("1")) == wanted
        assert client.manifest(registry.repository(), "1") == (wanted, MANIFEST)

    def test_mirror_that_wants_to_be_waited_for(self, registry, mirror, monkeypatch):
        registry.put_blob(LARGE)
        mirror.add(faults.status(429, method="GET", times=99, Retry_After="100"))
        entry = RegistrySettings(plain_http=True, mirrors=(Mirror(mirror.host),))
        waits: list[float | None] = []
        monkeypatch.setattr(Cancellation, "wait", lambda _, seconds: waits.append(seconds))
        with RegistryClient(ClientSettings({mirror.host: PLAIN, registry.host: entry})) as client:
            assert read(client, registry) == LARGE
        assert not waits

    def test_mirror_that_cannot_be_reached_is_asked_once_a_minute(self, registry):
        registry.put_blob(LARGE)
        dead = f"localhost:{free_port()}"
        now = [0.0]
        with mirrored(registry.host, dead) as client:
            client._record = MirrorRecord(lambda: now[0])
            assert read(client, registry) == LARGE
            assert sources(client, registry.repository()) == [registry.host]
            assert read(client, registry) == LARGE
            now[0] += UNREACHED + 1
            assert sources(client, registry.repository()) == [dead, registry.host]


def sources(client, repository):
    asked = client._sources(repository)
    return [session.repository.registry for session in (*asked.mirrors, asked.last)]


def wrong(data):
    return data[:-1] + bytes([data[-1] ^ 1])


class TestLies:
    """A blob of the right length and other content: its first bytes are used before its end tells."""

    def test_whoever_opens_it_again_is_served_by_the_source(self, registry, mirror, client):
        mirror.add(faults.send(wrong(LARGE), path="/blobs/"))
        with pytest.raises(MirrorError) as raised:
            read(client, registry)
        message = str(raised.value)
        assert f"blob from {mirror.host}/team/app has digest" in message
        assert f"mirror {mirror.host}/team/app served it: repair it, or take it out" in message
        assert read(client, registry) == LARGE
        assert client.manifest(registry.repository(), "1")[1] == MANIFEST
        assert len(mirror.seen) == 1

    def test_a_manifest_that_lies_is_enough(self, registry, mirror, client):
        mirror.add(faults.send(b"{}", path="/manifests/"))
        wanted = Digest.sha256(MANIFEST)
        assert client.manifest(registry.repository(), wanted)[1] == MANIFEST
        assert read(client, registry) == LARGE
        assert len(mirror.seen) == 1

    def test_blob_without_end(self, registry, mirror, client):
        mirror.add(faults.endless(path="/blobs/"))
        with pytest.raises(MirrorError, match=r"more than the 5000000 bytes.*served it"):
            read(client, registry)
        assert read(client, registry) == LARGE

    def test_half_of_it_came_from_the_source(self, registry, mirror, client):
        lie = b"\0" * len(LARGE)
        mirror.store.blobs["team/app", str(Digest.sha256(LARGE))] = lie
        mirror.add(faults.drop_download(after=1_000_000), faults.status(503, method="GET", times=99))
        with pytest.raises(MirrorError, match=f"blob from {mirror.host}/team/app and {registry.host}"):
            read(client, registry)
        assert read(client, registry) == LARGE

    def test_threads_that_read_at_once_all_come_to_an_end(self, registry, mirror, client):
        blobs = [LARGE[:100_000] + bytes([number]) for number in range(8)]
        for data in blobs:
            registry.put_blob(data)
            mirror.store.blobs["team/app", str(Digest.sha256(data))] = wrong(data)
        target = registry.repository("team/copy")

        def copy(data):
            return client.copy_blob(Repository(registry.host, "team/app"), target, Descriptor.of("x", data))

        registry.refuse_mounts = True
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(copy, blobs))
        held = registry.store.blobs
        assert all(held["team/copy", str(Digest.sha256(data))] == data for data in blobs)
        assert not registry.store.uploads

    @pytest.mark.parametrize("lie", ["a manifest", "a blob", "an endless blob"])
    def test_it_is_told_once_with_what_to_do(self, registry, mirror, lie):
        registry.put_blob(LARGE)
        registry.put_manifest(MANIFEST, mediatype.OCI_MANIFEST, "1")
        match lie:
            case "a manifest":
                mirror.add(faults.send(b"{}", path="/manifests/"))
            case "a blob":
                mirror.add(faults.send(wrong(LARGE), path="/blobs/"))
            case _:
                mirror.add(faults.endless(path="/blobs/"))
        warnings: list[str] = []
        with mirrored(registry.host, mirror.host, warn=warnings.append) as client:
            for _ in range(3):
                client.manifest(registry.repository(), Digest.sha256(MANIFEST))
                assert despite_mirrors(lambda: read(client, registry)) == LARGE
        (warning,) = warnings
        assert f"the mirror {mirror.host}/team/app does not serve what it should" in warning
        digest = Digest.sha256(MANIFEST if lie == "a manifest" else LARGE)
        assert str(digest) in warning
        assert warning.endswith("repair it, or take it out of the settings")

    def test_a_signature_is_found_where_it_is_right(self, registry, mirror):
        """An image would count as unsigned, or an attestation be missing, because of a mirror."""
        key = SigningKey.load(KEY, PASSWORD)
        registry.put_manifest(MANIFEST, mediatype.OCI_MANIFEST, "1")
        image = Descriptor.of(mediatype.OCI_MANIFEST, MANIFEST)
        with RegistryClient(ClientSettings({registry.host: PLAIN}), retry=FAST) as client:
            ImageSigner(client, key, (SignatureForm.LEGACY,)).sign(registry.repository(), image)
        mirror.store.manifests.update(registry.store.manifests)
        mirror.store.blobs.update({name: wrong(data) for name, data in registry.store.blobs.items()})
        warnings: list[str] = []
        with mirrored(registry.host, mirror.host, warn=warnings.append) as client:
            found = verify_image(client, registry.repository(), image.digest, VerificationKey.load(PUBLIC))
        assert found.verified == (SignatureForm.LEGACY,)
        assert f"the mirror {mirror.host}/team/app does not serve what it should" in warnings[0]

    def test_nothing_is_told_of_mirrors_that_are_only_away(self, registry, mirror):
        registry.put_blob(LARGE)
        mirror.add(faults.status(503, method="GET", times=99))
        warnings: list[str] = []
        with mirrored(registry.host, f"localhost:{free_port()}", mirror.host, warn=warnings.append) as client:
            assert read(client, registry) == LARGE
        assert not warnings

    def test_only_mirrors_and_all_of_them_lie(self, registry, mirror):
        with (
            FaultyRegistry() as second,
            mirrored(registry.host, mirror.host, second.host, only=True) as client,
        ):
            for server in (mirror, second):
                server.store.blobs["team/app", str(Digest.sha256(LARGE))] = wrong(LARGE)
            with pytest.raises(MirrorError):
                read(client, registry)
            for _ in range(2):
                with pytest.raises(DigestMismatchError, match=second.host):
                    read(client, registry)
            assert len(mirror.seen) == 1
        assert not registry.seen

    def test_the_source_is_not_taken_for_a_mirror(self, registry, mirror, client):
        registry.add(faults.send(wrong(SMALL), path="/blobs/"))
        for _ in range(2):
            with pytest.raises(DigestMismatchError, match=registry.host):
                read(client, registry, SMALL)


class TestCopies:
    """Real registries, of which the mirror has had a file changed on its disk."""

    @pytest.fixture
    def source(self):
        with running_registry() as running:
            yield running

    @pytest.fixture
    def lying(self):
        with running_registry() as running:
            yield running

    @pytest.fixture
    def image(self, source, lying):
        made = make_image()
        for server in (source, lying):
            with server.client() as client:
                made.write(RegistryImages(client, server.repository("team/app")), "1")
        layer = made.blobs[-1][0].digest.encoded
        path = lying.root / "docker/registry/v2/blobs/sha256" / layer[:2] / layer / "data"
        path.write_bytes(wrong(path.read_bytes()))
        return made

    def test_to_a_registry(self, source, lying, image):
        with mirrored(source.host, lying.host) as client:
            found = RegistryImages(client, source.repository("team/app"))
            target = RegistryImages(client, source.repository("team/copy"))
            counted: list[int] = []
            copied = copy_image(found, "1", target, "1", on_bytes=counted.append)
            assert copied == target.resolve("1") == image.descriptor
            for descriptor, data in image.blobs:
                with target.open_blob(descriptor) as blob:
                    assert blob.read() == data
            assert sum(counted) == sum(len(data) for _, data in image.blobs)

    def test_to_a_layout(self, source, lying, image, tmp_path):
        layout = Layout(tmp_path / "layout", create=True)
        with mirrored(source.host, lying.host) as client:
            copy_image(RegistryImages(client, source.repository("team/app")), "1", layout, "1")
        assert layout.resolve("1") == image.descriptor
        for descriptor, data in image.blobs:
            with layout.open_blob(descriptor) as blob:
                assert blob.read() == data
        assert not list((tmp_path / "layout/blobs").glob(".upload-*"))

    @pytest.mark.parametrize("docker", [False, True])
    def test_to_an_archive(self, source, lying, image, tmp_path, docker):
        name, path = f"{source.host}/team/app:1", tmp_path / "image.tar"
        counted: list[int] = []
        with mirrored(source.host, lying.host) as client, path.open("wb") as file:
            found = RegistryImages(client, source.repository("team/app"))
            with ArchiveWriter(file, docker=docker) as archive:
                copy_image(found, "1", archive, name, on_bytes=counted.append)
        written = LayoutArchive(path)
        assert written.resolve(name) == image.descriptor
        for descriptor, data in image.blobs:
            with written.open_blob(descriptor) as blob:
                assert blob.read() == data
        with tarfile.open(path) as tar:
            names = tar.getnames()
        assert len(names) == len(set(names)), "nothing of what was taken back is left"
        assert sum(counted) == sum(len(data) for _, data in image.blobs)

    def test_from_a_pipe_nothing_can_be_taken_back(self, source, lying, image):
        with (
            mirrored(source.host, lying.host) as client,
            open("/dev/null", "wb") as hole,
            subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=hole) as process,
        ):
            found = RegistryImages(client, source.repository("team/app"))
            with pytest.raises(MirrorError, match="take it out of the settings"):
                copy_image(found, "1", ArchiveWriter(pipe_into(process)), "1")
