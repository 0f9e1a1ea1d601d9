"""Layers that are only read are checked like those that are unpacked, and each is read once."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_builder.errors import BaseImageError
from strake_builder.layers.blobs import PulledLayer
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.solve.images.base_outlines import BaseOutlines
from strake_builder.solve.images.layer_reader import LayerReader
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.registry import ClientSettings, Mirror, RegistryClient, RegistrySettings
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from tests.faults.registry import FAST, FaultyRegistry
from tests.unit.strake_builder.solve.images.test_store import layer_of


@pytest.fixture
def outlines(tmp_path):
    with contextlib.ExitStack() as scope:
        source, mirror = (scope.enter_context(FaultyRegistry()) for _ in range(2))
        plain = RegistrySettings(plain_http=True)
        mirrored = RegistrySettings(plain_http=True, mirrors=(Mirror(mirror.host),))
        settings = ClientSettings({source.host: mirrored, mirror.host: plain})
        client = scope.enter_context(RegistryClient(settings, retry=FAST))
        workspace = scope.enter_context(Workspace(str(tmp_path), rootfs="scan"))
        pool = scope.enter_context(ThreadPoolExecutor(2))
        made = BaseOutlines(workspace, LayerReader(client, Reporter(lambda _: None)), pool, MAX_UNPACKED)
        scope.callback(made.close)
        yield made, source, mirror


def test_a_layer_that_a_mirror_changed_is_read_from_the_source(outlines):
    made, source, mirror = outlines
    blob, diff_id = layer_of(os.urandom(3_000_000))
    descriptor = Descriptor(mediatype.OCI_LAYER_GZIP, source.put_blob(blob), len(blob))
    mirror.store.blobs["team/app", str(descriptor.digest)] = blob[:-1] + b"?"
    layer = PulledLayer(descriptor, DiffID(diff_id), source.repository())
    [directory] = made.get((layer,)).directories
    assert os.listdir(directory) == []
    asked = len(source.seen) + len(mirror.seen)
    assert made.get((layer,)).directories == (directory,)
    assert len(source.seen) + len(mirror.seen) == asked


@pytest.mark.parametrize("lie", ["blob", "diff ID"])
def test_a_layer_that_is_not_what_it_should_be_is_refused(outlines, lie):
    made, source, _ = outlines
    blob, diff_id = layer_of(b"content")
    descriptor = Descriptor(mediatype.OCI_LAYER_GZIP, source.put_blob(blob), len(blob))
    if lie == "blob":
        source.store.blobs["team/app", str(descriptor.digest)] = blob[:-1] + b"?"
    else:
        diff_id = Digest.sha256(b"")
    with pytest.raises(BaseImageError, match=r"has digest|its image says"):
        made.get((PulledLayer(descriptor, DiffID(diff_id), source.repository()),))
