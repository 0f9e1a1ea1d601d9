"""Moving blobs to and from the faulty registry, as the tests of it do."""

from __future__ import annotations

import io
import os

from strake_oci.registry.blobs import range_fetch
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest

SMALL = os.urandom(1000)
LARGE = os.urandom(5_000_000)


def always_in_parts(monkeypatch) -> None:
    """Have every blob fetched over several connections, in small range_fetch."""
    monkeypatch.setattr(range_fetch, "PART", 300_000)
    monkeypatch.setattr(range_fetch, "WORTH", 1)
    monkeypatch.setattr(range_fetch, "PATIENCE", 0.0)
    monkeypatch.setattr(range_fetch, "SLOW", 1e15)


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
