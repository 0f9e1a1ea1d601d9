"""A hostile registry takes no time and no memory without a limit."""

from __future__ import annotations

import functools
import tracemalloc

import pytest

from strake_oci.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    OCIError,
)
from strake_oci.http import network, transport
from strake_oci.registry.blobs import download
from strake_oci.registry.blobs.upload import UploadSession
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.contract.test_oci_hostile import BLOB, Known, demand_basic, pull
from tests.faults import faults, moves
from tests.faults.registry import FaultyRegistry
from tests.fixtures.narrow import present


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def client(registry):
    with registry.client() as made:
        yield made


class TestTimeAndMemory:
    def test_drip_of_a_blob(self, registry, client, monkeypatch):
        monkeypatch.setattr(download, "STALL_WINDOW", 0.2)
        registry.add(faults.drip(BLOB, path="/blobs/"))
        with pytest.raises(DeadlineExceededError, match="fewer than"):
            pull(client, registry)

    @pytest.mark.parametrize("after", [1, 1000])
    def test_drip_by_broken_connections(self, registry, client, after):
        data = bytes(1_000_000)
        registry.put_blob(data)
        registry.add(faults.drop_download(after=after, times=10**9))
        with pytest.raises(ConnectionFailedError, match="tried 5 times"):
            pull(client, registry, data)
        assert len(registry.seen) <= 6

    @pytest.mark.parametrize("move", [moves.push, moves.stream])
    def test_registry_that_takes_a_byte_at_a_time(self, registry, move):
        registry.add(faults.drop_upload(after=1, times=10**9))
        with pytest.raises(OCIError, match="tried 5 times"):
            move(registry, bytes(8_000_000))
        assert len(registry.requests("P")) < 60

    def test_chunks_too_large_for_memory_are_not_promised(self, registry, client):
        location = f"/v2/team/app/blobs/uploads/{'0' * 32}"
        send = functools.partial(faults.send, method="POST", path="/uploads/", code=202)
        registry.add(send(b"", Location=location, OCI_Chunk_Min_Length="9" * 12))
        upload = UploadSession.start(client._session(registry.repository()))
        assert present(upload).chunk_minimum <= 64 << 20

    def test_drip_of_a_document(self, registry, client, monkeypatch):
        monkeypatch.setattr(transport, "READ_DEADLINE", 0.2)
        registry.add(faults.drip(BLOB, path="/manifests/"))
        with pytest.raises(DeadlineExceededError, match="to its end"):
            client.manifest(registry.repository(), "1")

    def test_drip_of_headers(self, registry, client, monkeypatch):
        monkeypatch.setattr(network, "HEAD_SECONDS", 0.2)
        registry.add(faults.raw(b"HTTP/1.1 200 OK\r\n", b"X", pause=0.02))
        with pytest.raises(DeadlineExceededError, match="silent"):
            client.manifest(registry.repository(), "1")

    @pytest.mark.parametrize(
        "piece",
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 500, b"X-More: of the same\r\n" * 500],
        ids=["interim", "headers"],
    )
    def test_head_without_end(self, registry, client, piece):
        registry.add(
            faults.raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" if b"X" in piece else b"", piece)
        )
        with pytest.raises(ConnectionFailedError, match=r"too long|too big|limit|exceed"):
            client.manifest(registry.repository(), "1")

    def test_memory_does_not_grow_with_the_blob(self, registry, client):
        data = bytes(60_000_000)
        descriptor = Descriptor("x", registry.put_blob(data), len(data))
        tracemalloc.start()
        try:
            with client.open_blob(registry.repository(), descriptor) as blob:
                while blob.read(1 << 16):
                    pass
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # the server runs in this process and sends one copy of its slice
        assert peak < 8_000_000

    def test_upload_that_is_sent_elsewhere_gets_no_password(self, registry):
        with FaultyRegistry() as thief:
            location = f"http://127.0.0.1:{thief.host[-5:]}/v2/x/blobs/uploads/1"
            registry.faults.append(demand_basic)
            registry.add(faults.send(b"", method="POST", path="/uploads/", code=202, Location=location))
            with registry.client(credentials=Known()) as client, pytest.raises(OCIError):
                client.start_upload(registry.repository()).commit(Digest.sha256(b""))
            assert thief.seen
            assert not any("Authorization" in seen.headers for seen in thief.seen)
