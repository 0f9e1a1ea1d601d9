"""The registry client against a registry that fails in every way it can."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.descriptor import Descriptor
from strake_oci.digest import Digest
from strake_oci.errors import (
    ConnectionFailedError,
    DigestMismatchError,
    ManifestUnknownError,
    RateLimitedError,
    RejectedError,
    ServerError,
    SizeExceededError,
    SizeMismatchError,
)
from strake_oci.manifest import mediatype
from strake_oci.registry import RetryPolicy
from strake_oci.registry.upload import UploadSession
from tests.faults import faults
from tests.faults.registry import FaultyRegistry

SMALL = os.urandom(1000)
LARGE = os.urandom(5_000_000)


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


def pull(registry, data: bytes, **options) -> bytes:
    descriptor = Descriptor.of("application/octet-stream", data)
    registry.put_blob(data)
    with registry.client(**options) as client, client.open_blob(registry.repository(), descriptor) as blob:
        return blob.read()


def push(registry, data: bytes) -> Descriptor:
    descriptor = Descriptor.of("application/octet-stream", data)
    with registry.client() as client:
        client.push_blob(registry.repository(), descriptor, lambda: io.BytesIO(data))
    return descriptor


def stream(registry, data: bytes, piece: int = 100_000) -> None:
    with registry.client() as client, client.start_upload(registry.repository()) as upload:
        for start in range(0, len(data), piece):
            upload.write(data[start : start + piece])
        upload.commit(Digest.sha256(data))


def stored(registry, data: bytes) -> bool:
    return registry.store.blobs.get(("team/app", str(Digest.sha256(data)))) == data


class TestDownload:
    @pytest.mark.parametrize("after", [1, 65_536, 1_500_000])
    def test_goes_on_where_the_connection_broke(self, registry, after):
        registry.add(faults.drop_download(after=after, times=3))
        assert pull(registry, LARGE) == LARGE
        ranges = [seen.headers.get("Range") for seen in registry.seen]
        assert ranges == [None, *(f"bytes={count * after}-" for count in (1, 2, 3))]

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
        counted = []
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
        registry.add(faults.send(LARGE[:-1] + b"?", path="/blobs/"))
        registry.put_blob(LARGE)
        got = []
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


class TestUpload:
    @pytest.mark.parametrize("after", [0, 1, 100_000, 4_999_999])
    @pytest.mark.parametrize("send", [push, stream])
    def test_goes_on_where_the_connection_broke(self, registry, send, after):
        registry.add(faults.drop_upload(after=after, times=2))
        send(registry, LARGE)
        assert stored(registry, LARGE)

    @pytest.mark.parametrize("send", [push, stream])
    @pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
    def test_failure_after_the_commit_is_none(self, registry, send, data):
        registry.add(faults.fail_after_doing(500, method="PUT", path="/uploads/"))
        send(registry, data)
        assert stored(registry, data)

    @pytest.mark.parametrize("send", [push, stream])
    @pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
    def test_passing_failures_are_tried_again(self, registry, send, code):
        registry.add(
            faults.status(code, method="POST", path="/uploads/", times=2),
            faults.status(code, method="PUT", path="/uploads/", times=2),
            faults.status(code, method="PATCH", path="/uploads/", times=2),
        )
        send(registry, LARGE)
        assert stored(registry, LARGE)

    @pytest.mark.parametrize("send", [push, stream])
    def test_a_lie_about_the_offset_does_no_harm(self, registry, send):
        registry.add(faults.drop_upload(after=100_000), faults.lie_about_offset(9_000_000))
        send(registry, LARGE)
        assert stored(registry, LARGE)

    @pytest.mark.parametrize("send", [push, stream])
    def test_a_forgotten_upload_is_begun_anew(self, registry, send):
        registry.add(faults.forget_uploads())
        send(registry, LARGE)
        assert stored(registry, LARGE)

    def test_large_bodies_go_in_chunks_where_they_must(self, registry):
        registry.add(faults.refuse_bodies_over(9_000_000))
        data = os.urandom(20_000_000)
        push(registry, data)
        assert stored(registry, data)
        assert len(registry.requests("PATCH")) == 3

    def test_streams_go_in_chunks_where_lengths_are_wanted(self, registry):
        registry.add(faults.refuse_lengthless())
        data = os.urandom(12_000_000)
        stream(registry, data)
        assert stored(registry, data)

    def test_source_that_ends_early(self, registry):
        descriptor = Descriptor("x", Digest.sha256(LARGE), len(LARGE))
        with registry.client() as client, pytest.raises(SizeMismatchError):
            client.push_blob(registry.repository(), descriptor, lambda: io.BytesIO(LARGE[:-5]))
        assert not registry.store.uploads

    def test_nothing_is_sent_that_is_there(self, registry):
        push(registry, LARGE)
        registry.seen.clear()
        push(registry, LARGE)
        assert [exchange.command for exchange in registry.seen] == ["HEAD"]

    def test_refused_mount_is_pushed(self, registry):
        registry.refuse_mounts = True
        registry.put_blob(LARGE, "base/image")
        with registry.client() as client:
            source, target = registry.repository("base/image"), registry.repository()
            assert client.copy_blob(source, target, Descriptor.of("x", LARGE))
        assert stored(registry, LARGE)
        assert not registry.store.uploads

    def test_mount_that_works_is_one_request(self, registry):
        registry.put_blob(LARGE, "base/image")
        with registry.client() as client:
            source, target = registry.repository("base/image"), registry.repository()
            assert not client.copy_blob(source, target, Descriptor.of("x", LARGE))
        assert stored(registry, LARGE)
        assert len(registry.seen) == 1

    def test_mount_that_is_not_allowed_is_pushed(self, registry):
        registry.put_blob(LARGE, "base/image")
        registry.add(faults.status(403, "DENIED", method="POST", path="/uploads/"))
        with registry.client() as client:
            assert client.copy_blob(
                registry.repository("base/image"), registry.repository(), Descriptor.of("x", LARGE)
            )
        assert stored(registry, LARGE)

    def test_refused_mount_of_what_is_there_sends_nothing(self, registry):
        registry.refuse_mounts = True
        registry.put_blob(LARGE, "base/image")
        registry.put_blob(LARGE)
        with registry.client() as client:
            assert not client.copy_blob(
                registry.repository("base/image"), registry.repository(), Descriptor.of("x", LARGE)
            )
        assert not registry.requests("PUT")
        assert not registry.store.uploads

    def test_failure_that_nobody_foresaw_reaches_the_writer(self, registry, monkeypatch):
        monkeypatch.setattr(UploadSession, "append", lambda *_: 1 / 0)
        with (
            registry.client() as client,
            client.start_upload(registry.repository()) as upload,
            pytest.raises(ZeroDivisionError),
        ):
            list(map(upload.write, [LARGE] * 100))

    def test_leaving_without_commit_leaves_nothing(self, registry):
        with registry.client() as client, client.start_upload(registry.repository()) as upload:
            upload.write(LARGE)
        assert not registry.store.uploads
        assert not registry.store.blobs

    def test_wrong_digest_is_refused(self, registry):
        with registry.client() as client, client.start_upload(registry.repository()) as upload:
            upload.write(LARGE)
            with pytest.raises(RejectedError, match="DIGEST_INVALID"):
                upload.commit(Digest.sha256(b"other"))


class TestTokens:
    @pytest.fixture
    def tokens(self, registry):
        tokens = faults.Tokens()
        registry.add(tokens)
        return tokens

    @pytest.mark.parametrize("send", [push, stream])
    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
    def test_token_that_dies_in_mid_upload_is_renewed(self, registry, tokens, send, method):
        def die(exchange):
            tokens.kill()
            return tokens(exchange)

        registry.faults.insert(0, faults.sometimes(die, method=method, path="/uploads/", times=1))
        send(registry, LARGE)
        assert stored(registry, LARGE)

    def test_token_that_dies_between_the_pieces_of_a_download(self, registry, tokens):
        def die(exchange):
            tokens.kill()
            return False

        cut = faults.drop_download(after=1_000_000)
        registry.faults.insert(0, faults.sometimes(die, method="GET", path="/blobs/", times=1, skip=2))
        registry.add(cut)
        assert pull(registry, LARGE) == LARGE
        assert tokens.issued == 2

    def test_threads_share_one_renewal(self, registry, tokens):
        blobs = [os.urandom(1000) for _ in range(16)]
        for data in blobs:
            registry.put_blob(data)
        with registry.client() as client, ThreadPoolExecutor(8) as pool:

            def exists(data):
                return client.blob_exists(registry.repository(), Digest.sha256(data))

            assert all(pool.map(exists, blobs))
            assert tokens.issued == 1
            tokens.kill()
            assert all(pool.map(exists, blobs))
        assert tokens.issued == 2


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
                exchange.reply(200, b'{"tags":["a","b"]}', Link=f'<{exchange.route}?page=2>; rel="next"')

        registry.add(faults.sometimes(answer, method="GET", path="/tags/list", times=2))
        with registry.client() as client:
            assert client.tags(registry.repository()) == ("a", "b", "c")
