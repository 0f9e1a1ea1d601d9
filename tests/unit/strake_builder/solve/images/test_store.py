"""Layers on their way from registries to directories: what a mirror that lies does to them."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strake_builder.errors import BaseImageError
from strake_builder.layers.blobs import PulledLayer
from strake_builder.progress.reporter import Reporter
from strake_builder.solve.images.store import LayerStore
from strake_oci.registry import ClientSettings, Mirror, RegistryClient, RegistrySettings
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from tests.faults.registry import FAST, FaultyRegistry
from tests.fixtures.content.tar_members import member


def layer_of(content: bytes) -> tuple[bytes, Digest]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info, data = member("file", content)
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0), Digest.sha256(stream.getvalue())


@pytest.fixture
def store(tmp_path):
    with FaultyRegistry() as source, FaultyRegistry() as mirror:
        plain = RegistrySettings(plain_http=True)
        mirrored = RegistrySettings(plain_http=True, mirrors=(Mirror(mirror.host),))
        settings = ClientSettings({source.host: mirrored, mirror.host: plain})
        with RegistryClient(settings, retry=FAST) as client, ThreadPoolExecutor(2) as pool:
            made = LayerStore(str(tmp_path), client, pool, Reporter(lambda _: None))
            yield made, source, mirror


@pytest.mark.parametrize(
    "lie",
    [lambda blob: bytes([blob[0] ^ 1]) + blob[1:], lambda blob: blob[:-1] + b"?", os.urandom],
    ids=["first byte", "last byte", "noise"],
)
def test_layer_that_a_mirror_changed_is_unpacked_from_the_source(store, lie, tmp_path):
    made, source, mirror = store
    content = os.urandom(3_000_000)
    blob, diff_id = layer_of(content)
    descriptor = Descriptor(mediatype.OCI_LAYER_GZIP, source.put_blob(blob), len(blob))
    wrong = lie(len(blob)) if lie is os.urandom else lie(blob)
    mirror.store.blobs["team/app", str(descriptor.digest)] = wrong
    [directory] = made.directories((PulledLayer(descriptor, DiffID(diff_id), source.repository()),))
    assert Path(directory, "file").read_bytes() == content
    assert len(mirror.seen) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"sha256-{diff_id.encoded}-2-lowest"]


def test_what_cannot_be_unpacked_is_first_of_all_not_what_was_asked_for(store, tmp_path):
    """A gzip that is broken in the registry is reported as that; the digest is not to blame for it."""
    made, source, _ = store
    blob = b"\x1f\x8b" + os.urandom(100_000)
    descriptor = Descriptor(mediatype.OCI_LAYER_GZIP, source.put_blob(blob), len(blob))
    layer = PulledLayer(descriptor, DiffID(Digest.sha256(b"")), source.repository())
    with pytest.raises(BaseImageError, match="cannot unpack the layer"):
        made.directories((layer,))
    source.store.blobs["team/app", str(descriptor.digest)] = blob[:-1] + b"?"
    other = PulledLayer(descriptor, DiffID(Digest.sha256(b"1")), source.repository())
    with pytest.raises(BaseImageError, match=r"cannot pull the layer.*has digest"):
        made.directories((other,))
    assert not list(tmp_path.iterdir())
