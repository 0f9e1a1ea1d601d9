"""Uploads to a registry that fails in every way it can, and tokens that die meanwhile."""

from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.errors import ManifestUnknownError, RejectedError, SizeExceededError, SizeMismatchError
from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings, Timeouts
from strake_oci.registry.blobs.upload import UploadSession
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.faults import faults
from tests.faults.moves import LARGE, SMALL, pull, push, stored, stream
from tests.faults.registry import FaultyRegistry
from tests.fixtures.content.images import make_image


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


class TestThrough:
    """A blob large enough to be read ahead, from one registry to another."""

    @pytest.mark.parametrize(
        ("source_fault", "target_fault"),
        [
            ([], []),
            ([faults.drop_download(after=9_000_000)], []),
            ([], [faults.drop_upload(after=9_000_000, times=2)]),
            ([faults.drop_download(after=3_000_000)], [faults.drop_upload(after=12_000_000)]),
        ],
        ids=["no fault", "source", "target", "both"],
    )
    def test_it_arrives_whole(self, registry, source_fault, target_fault):
        data = os.urandom(20 << 20)
        descriptor = Descriptor("application/octet-stream", Digest.sha256(data), len(data))
        with FaultyRegistry() as source:
            push(source, data)
            source.add(*source_fault)
            registry.add(*target_fault)
            with RegistryClient(ClientSettings.insecure(source.host, registry.host)) as client:
                there, here = source.repository(), registry.repository()
                client.copy_blob(there, here, descriptor)
        assert stored(registry, data)
        assert "read-ahead" not in {thread.name for thread in threading.enumerate()}


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

    @pytest.mark.parametrize("code", [400, 403, 404, 405])
    def test_mount_that_is_not_allowed_is_pushed(self, registry, code):
        registry.put_blob(LARGE, "base/image")
        registry.add(faults.status(code, "DENIED", method="POST", path="/uploads/"))
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

    @pytest.mark.parametrize(
        ("method", "path", "usual", "codes"),
        [
            ("POST", "/uploads/", 202, [200, 204]),
            ("PATCH", "/uploads/", 202, [200, 201, 204]),
            ("PUT", "/uploads/", 201, [200, 204]),
            ("PUT", "/manifests/", 201, [200, 202, 204]),
        ],
    )
    def test_success_with_another_status_than_the_specifications(self, registry, method, path, usual, codes):
        for code in codes:
            registry.store.blobs.clear()
            registry.add(faults.rename_status(usual, code, method=method, path=path))
            push(registry, LARGE)
            stream(registry, SMALL)
            assert stored(registry, LARGE)
            assert stored(registry, SMALL)
            with registry.client() as client:
                image = make_image(SMALL)
                client.push_manifest(registry.repository().tag("1"), image.data, mediatype.OCI_MANIFEST)
                assert client.manifest(registry.repository(), "1")[1] == image.data
            registry.faults.clear()

    def test_a_blob_is_looked_for_with_get_where_head_is_not_allowed(self, registry):
        registry.add(faults.status(405, method="HEAD", times=100))
        push(registry, LARGE)
        assert stored(registry, LARGE)
        registry.seen.clear()
        push(registry, LARGE)
        assert not registry.requests("POST")

    @pytest.mark.parametrize("code", [307, 308])
    def test_a_redirect_that_keeps_the_method_is_followed(self, registry, code):
        registry.add(faults.move_to_query("moved=1", method="POST", path="/uploads/", code=code))
        push(registry, LARGE)
        assert stored(registry, LARGE)
        assert any("moved=1" in each for each in registry.requests("POST"))

    @pytest.mark.parametrize("code", [301, 302, 303])
    def test_a_redirect_that_changes_the_method_is_not(self, registry, code):
        registry.add(faults.move_to_query("moved=1", method="POST", path="/uploads/", code=code))
        with pytest.raises(RejectedError, match=str(code)):
            push(registry, LARGE)

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


class TestConnections:
    """What is not asked for: each new connection costs a round trip, and a handshake."""

    @pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
    def test_one_serves_a_whole_push_and_pull(self, registry, data):
        descriptor = Descriptor.of("x", data)
        repository = registry.repository()
        with registry.client() as client:
            assert not client.blob_exists(repository, descriptor.digest)
            client.push_blob(repository, descriptor, lambda: io.BytesIO(data))
            for _ in range(3):
                assert client.blob_exists(repository, descriptor.digest)
                with client.open_blob(repository, descriptor) as blob:
                    blob.read()
            with pytest.raises(ManifestUnknownError):
                client.manifest(repository, "none")
            with pytest.raises(ManifestUnknownError):
                client.resolve(repository.tag("none"))
            assert registry.connections == 1

    def test_one_serves_a_stream(self, registry):
        stream(registry, LARGE)
        assert registry.connections == 1

    def test_content_with_more_after_it_in_the_same_answer(self, registry):
        piece = b"%x\r\n%s\r\n" % (len(SMALL), SMALL)

        def act(exchange):
            exchange.send_response(200)
            exchange.send_header("Transfer-Encoding", "chunked")
            exchange.end_headers()
            exchange.wfile.write(piece)
            exchange.wfile.write(b"1\r\nx\r\n0\r\n\r\n")

        registry.add(faults.sometimes(act, method="GET", path="/blobs/", times=9))
        with pytest.raises(SizeExceededError):
            pull(registry, SMALL)


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

    def test_rights_that_the_registry_names_are_asked_for_at_once_from_then_on(self, registry):
        """Else every upload would be refused, and sent, twice."""
        tokens = faults.Tokens(scope="repository:team/app:annotate,pull,push")
        registry.add(tokens)
        repository = registry.repository()
        with registry.client() as client:
            for data in (LARGE, LARGE[1:], LARGE[2:]):
                client.push_blob(repository, Descriptor.of("x", data), lambda data=data: io.BytesIO(data))
        refused = len(registry.requests()) - tokens.issued - 3 * len(("HEAD", "POST", "PUT"))
        assert refused <= 2  # a first question to pull, a first to push

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


def test_silence_while_committing_is_waited_out_longer_than_other_silence(registry):
    def slow(exchange):
        time.sleep(0.5)  # the registry is slow: that is the fault
        return False

    registry.add(faults.sometimes(slow, method="PUT", path="/uploads/", times=1))
    settings = ClientSettings(
        registries={registry.host: RegistrySettings(plain_http=True)}, timeouts=Timeouts(read=0.2, commit=5)
    )
    with RegistryClient(settings) as client:
        client.push_blob(registry.repository(), Descriptor.of("x", SMALL), lambda: io.BytesIO(SMALL))
    assert len(registry.requests("PUT")) == 1
