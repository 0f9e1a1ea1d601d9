"""Downloads and manifests from a registry that fails in every way it can."""

from __future__ import annotations

import pytest

from strake_oci.errors import (
    ConnectionFailedError,
    DeniedError,
    DigestMismatchError,
    InvalidDocumentError,
    ManifestUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    ServerError,
    SizeExceededError,
)
from strake_oci.http import bodies
from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings, RetryPolicy
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import parse
from strake_oci.spec.reference import Repository
from tests.faults import faults, moves
from tests.faults.moves import LARGE, SMALL, pull
from tests.faults.registry import FaultyRegistry
from tests.fixtures.content.images import make_image


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


class TestDownload:
    @pytest.fixture(autouse=True, params=["through httpcore", "past httpcore", "in parts"])
    def way(self, request, monkeypatch):
        monkeypatch.setattr(bodies, "DIRECT", 1000 if request.param == "past httpcore" else 1 << 40)
        if request.param == "in parts":
            moves.always_in_parts(monkeypatch)

    def test_the_client_goes_on_afterwards(self, registry):
        blobs = [Descriptor.of("x", data) for data in (LARGE, SMALL, LARGE[1:])]
        for data in (LARGE, SMALL, LARGE[1:]):
            registry.put_blob(data)
        with registry.client() as client:
            read = []
            for blob in [*blobs, *blobs]:
                with client.open_blob(registry.repository(), blob) as opened:
                    read.append(opened.read())
        assert read == [LARGE, SMALL, LARGE[1:]] * 2

    @pytest.mark.parametrize("after", [1, 65_536, 1_500_000])
    def test_goes_on_after_the_connection_broke(self, registry, after):
        registry.add(faults.drop_download(after=after, times=3))
        assert pull(registry, LARGE) == LARGE

    def test_goes_on_for_the_last_byte(self, registry):
        registry.add(faults.drop_download(after=len(LARGE) - 1))
        assert pull(registry, LARGE) == LARGE

    def test_skips_what_it_has_where_range_is_ignored(self, registry):
        registry.ignore_range = True
        registry.add(faults.drop_download(after=1_000_000, times=3))
        assert pull(registry, LARGE) == LARGE

    def test_progress_counts_each_byte_once(self, registry):
        registry.add(faults.drop_download(after=100_000, times=2))
        registry.put_blob(LARGE)
        counted: list[int] = []
        with registry.client() as client:
            descriptor = Descriptor.of("x", LARGE)
            with client.open_blob(registry.repository(), descriptor, counted.append) as blob:
                blob.read()
        assert sum(counted) == len(LARGE)

    def test_gives_up_when_nothing_more_comes(self, registry):
        registry.add(faults.drop_download(after=0, times=100))
        with pytest.raises(ConnectionFailedError, match=r"tried 5 times"):
            pull(registry, LARGE)

    def test_wrong_content_never_reaches_the_end(self, registry):
        registry.add(faults.send(LARGE[:-1] + bytes([LARGE[-1] ^ 1]), path="/blobs/"))
        registry.put_blob(LARGE)
        got: list[bytes] = []
        wanted = Descriptor.of("x", LARGE)
        with (
            registry.client() as client,
            client.open_blob(registry.repository(), wanted) as blob,
            pytest.raises(DigestMismatchError),
        ):
            got.extend(iter(lambda: blob.read(65536), b""))
        assert sum(map(len, got)) < len(LARGE)

    def test_longer_content_is_refused_at_once(self, registry):
        registry.add(faults.send(LARGE + b"x", path="/blobs/"))
        with pytest.raises(SizeExceededError):
            pull(registry, LARGE)

    def test_endless_content_is_refused(self, registry):
        registry.add(faults.endless(path="/blobs/"))
        with pytest.raises(SizeExceededError):
            pull(registry, SMALL)

    def test_shorter_content_is_an_error(self, registry):
        registry.add(faults.send(LARGE[:-1], path="/blobs/"))
        with pytest.raises(Exception, match="4999999 bytes instead of 5000000"):
            pull(registry, LARGE)


@pytest.mark.parametrize("direct", [1 << 40, 1000], ids=["through httpcore", "past httpcore"])
@pytest.mark.parametrize("after", [1, 65_536, 1_500_000])
def test_a_download_goes_on_where_its_connection_broke(registry, monkeypatch, direct, after):
    monkeypatch.setattr(bodies, "DIRECT", direct)
    registry.add(faults.drop_download(after=after, times=3))
    assert pull(registry, LARGE) == LARGE
    ranges = [seen.headers.get("Range") for seen in registry.seen]
    assert ranges == [None, *(f"bytes={count * after}-" for count in (1, 2, 3))]


class TestManifests:
    MANIFEST = b'{"schemaVersion":2}'

    def test_storm_of_429_is_waited_out(self, registry):
        registry.put_manifest(self.MANIFEST, mediatype.OCI_MANIFEST, "1")
        registry.add(faults.status(429, "TOOMANYREQUESTS", method="GET", times=3, Retry_After="0"))
        with registry.client() as client:
            assert client.manifest(registry.repository(), "1")[1] == self.MANIFEST

    def test_retry_after_beyond_the_deadline_is_told_at_once(self, registry):
        registry.add(faults.status(429, "TOOMANYREQUESTS", method="GET", times=3, Retry_After="3600"))
        with registry.client() as client, pytest.raises(RateLimitedError, match="too many requests"):
            client.manifest(registry.repository(), "1")
        assert len(registry.seen) == 1

    def test_absent_image(self, registry):
        with registry.client() as client, pytest.raises(ManifestUnknownError, match="check the tag"):
            client.resolve(registry.repository().tag("nope"))

    def test_wrong_content_for_a_digest(self, registry):
        wanted = Digest.sha256(b"{}")
        registry.add(faults.send(b"[]", path="/manifests/"))
        with registry.client() as client, pytest.raises(DigestMismatchError):
            client.manifest(registry.repository(), wanted)

    @pytest.mark.parametrize("code", [400, 403, 405])
    def test_head_that_is_refused_falls_back_to_get(self, registry, code):
        registry.put_manifest(self.MANIFEST, mediatype.OCI_MANIFEST, "1")
        registry.add(faults.status(code, method="HEAD", times=9))
        with registry.client() as client:
            found = client.resolve(registry.repository().tag("1"))
        assert found == Descriptor.of(mediatype.OCI_MANIFEST, self.MANIFEST)

    @pytest.mark.parametrize(
        "kind", ["application/json", "text/plain; charset=utf-8", "binary/octet-stream", ""]
    )
    @pytest.mark.parametrize("named", [mediatype.OCI_MANIFEST, mediatype.DOCKER_MANIFEST, None])
    def test_where_the_content_type_says_nothing_the_document_does(self, registry, kind, named):
        """As file servers and old registries send manifests."""
        made = make_image(b"layer").data
        line = f'"mediaType":"{mediatype.OCI_MANIFEST}","config"'.encode()
        assert line in made
        data = made.replace(
            line, line.replace(mediatype.OCI_MANIFEST.encode(), named.encode()) if named else b'"config"'
        )
        registry.put_manifest(data, kind, "1")
        wanted = Descriptor.of(named or mediatype.OCI_MANIFEST, data)
        with registry.client() as client:
            assert client.resolve(registry.repository().tag("1")) == wanted
            assert client.manifest(registry.repository(), "1") == (wanted, data)

    def test_two_kinds_at_once_are_refused_still(self, registry):
        registry.put_manifest(make_image(b"layer").data, mediatype.DOCKER_MANIFEST, "1")
        with registry.client() as client:
            found, data = client.manifest(registry.repository(), "1")
        with pytest.raises(InvalidDocumentError, match="two ways"):
            parse(data, found.media_type)

    def test_refusal_has_the_registrys_words(self, registry):
        body = b'{"errors":[{"code":"DENIED","message":"blocked by policy 7"}]}'
        registry.add(faults.send(body, method="GET|HEAD", path="/manifests/", code=403))
        with registry.client() as client, pytest.raises(DeniedError, match="blocked by policy 7"):
            client.resolve(registry.repository().tag("1"))

    def test_a_proxys_page_is_no_manifest(self, registry):
        page = b"<!DOCTYPE html><p>Please log in"
        registry.add(faults.send(page, method="GET|HEAD", path="/manifests/", Content_Type="text/html"))
        with registry.client() as client:
            for ask in (
                lambda: client.resolve(registry.repository().tag("1")),
                lambda: client.manifest(registry.repository(), "1"),
            ):
                with pytest.raises(ProtocolError, match=r"no manifest but text/html.*a proxy"):
                    ask()

    def test_head_without_digest_falls_back_to_get(self, registry):
        registry.put_manifest(self.MANIFEST, mediatype.OCI_MANIFEST, "1")
        registry.add(faults.send(b"", method="HEAD", path="/manifests/", Content_Type=mediatype.OCI_MANIFEST))
        with registry.client() as client:
            found = client.resolve(registry.repository().tag("1"))
        assert found == Descriptor.of(mediatype.OCI_MANIFEST, self.MANIFEST)

    @pytest.mark.parametrize("body", ["endless", "announced"])
    def test_too_long_is_not_read(self, registry, body):
        if body == "endless":
            registry.add(faults.endless(path="/manifests/"))
        else:
            registry.add(faults.send(b" " * (5 << 20), path="/manifests/"))
        with registry.client() as client, pytest.raises(SizeExceededError):
            client.manifest(registry.repository(), "1")

    def test_hung_up_connections_are_made_anew(self, registry):
        registry.put_manifest(self.MANIFEST, mediatype.OCI_MANIFEST, "1")
        registry.add(faults.hang_up(method="GET", times=3))
        with registry.client() as client:
            assert client.manifest(registry.repository(), "1")[1] == self.MANIFEST

    def test_error_tells_how_often_was_tried(self, registry):
        registry.add(faults.status(503, method="GET", times=100))
        client = registry.client(retry=RetryPolicy(attempts=3, base=0.001))
        with client, pytest.raises(ServerError, match=r"status 503.*tried 3 times") as raised:
            client.manifest(registry.repository(), "1")
        assert raised.value.context.attempts == 3
        assert raised.value.context.repository == "team/app"

    def test_tags_come_page_by_page(self, registry):
        def answer(exchange):
            if "page=2" in exchange.path:
                exchange.reply(200, b'{"name":"team/app","tags":["b","c"]}')
            else:
                here = exchange.route
                link = f'<{here}?page=0>; rel="prev", <{here}?page=2>; title="a,b"; rel=next'
                exchange.reply(200, b'{"tags":["a","b"]}', Link=link)

        registry.add(faults.sometimes(answer, method="GET", path="/tags/list", times=2))
        with registry.client() as client:
            assert client.tags(registry.repository()) == ("a", "b", "c")

    def test_docker_hubs_limit_has_its_own_words(self, registry):
        registry.add(faults.status(429, "TOOMANYREQUESTS", method="GET", times=99, Retry_After="9999"))
        entry = RegistrySettings(location=f"http://{registry.host}")
        client = RegistryClient(ClientSettings(registries={"docker.io": entry}))
        words = r"Docker Hub's pull limit is used up \(no credentials for docker.io.*name a mirror"
        with client, pytest.raises(RateLimitedError, match=words):
            client.manifest(Repository.parse("alpine"), "latest")


class TestPushedManifest:
    """A manifest whose blobs the registry has acknowledged, and then does not find."""

    DATA = b'{"schemaVersion":2,"config":{},"layers":[]}'

    @pytest.mark.parametrize("code", [400, 404])
    def test_is_pushed_again(self, registry, code):
        registry.add(faults.status(code, "MANIFEST_BLOB_UNKNOWN", method="PUT", path="/manifests/", times=2))
        with registry.client() as client:
            pushed = client.push_manifest(registry.repository().tag("1"), self.DATA, mediatype.OCI_MANIFEST)
            assert client.resolve(registry.repository().tag("1")) == pushed

    def test_of_a_blob_that_stays_away_is_refused_with_what_to_do(self, registry):
        registry.add(faults.status(400, "MANIFEST_BLOB_UNKNOWN", method="PUT", path="/manifests/", times=99))
        client = registry.client(retry=RetryPolicy(attempts=3, base=0.001))
        words = r"does not find a blob that the manifest refers to.*tried 3 times.*build again"
        with client, pytest.raises(RejectedError, match=words):
            client.push_manifest(registry.repository().tag("1"), self.DATA, mediatype.OCI_MANIFEST)

    def test_that_is_wrong_is_pushed_once(self, registry):
        registry.add(faults.status(400, "MANIFEST_INVALID", method="PUT", path="/manifests/"))
        with registry.client() as client, pytest.raises(RejectedError, match="MANIFEST_INVALID"):
            client.push_manifest(registry.repository().tag("1"), self.DATA, mediatype.OCI_MANIFEST)
