"""Writes and pushes a step's layer while the next step runs."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future

from strake_api.requests.output import Output
from strake_builder import interrupt
from strake_builder.errors import BuildError, Location, OutputError, StepError
from strake_builder.layers.format import LayerFormat
from strake_builder.layers.pipeline import LayerBlob, write_blob
from strake_builder.output.blob_stream import BlobStream
from strake_builder.output.push import Pusher
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.diff.change import Change
from strake_builder.rootfs.diff.layer_stream import tar_stream
from strake_builder.solve.images.layers import WrittenLayer
from strake_builder.solve.workspace.discarded import Discarded
from strake_builder.solve.workspace.workspace import Workspace
from strake_builder.unforeseen import from_os_error
from strake_oci.cancellation import Cancellation
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.mediatype import Compression
from strake_oci.spec.reference import Repository


def layer_format(output: Output, epoch: int | None, left_out: frozenset[bytes] = frozenset()) -> LayerFormat:
    """Return how layers are written, with times of an epoch at most, and without which paths."""
    return LayerFormat(
        Compression(output.compression),
        output.compression_level,
        epoch=epoch,
        docker=output.media_types == "docker",
        left_out=left_out,
    )


class LayerExporter:
    """Turns snapshots into blobs, in the background. Thread-safe.

    Args:
        workspace: where blobs are kept.
        pool: where they are written.
        cancellation: cancelled by the first failure, so that no further step runs for nothing.
        pusher: pushes each blob as soon as it is written; None keeps them local.
        form: how layers are written.
        until: stops the layers that are being written; `cancellation` where None. With a cache the layers
            of the steps before one that failed are worth finishing.
        discards: remove what the last step of an image changed, and what is under it, while it is written:
            nothing else reads it.

    Attributes:
        form: how layers are written.
    """

    def __init__(
        self,
        workspace: Workspace,
        pool: Executor,
        cancellation: Cancellation,
        pusher: Pusher | None,
        form: LayerFormat | None = None,
        until: Cancellation | None = None,
        *,
        discards: bool = False,
    ) -> None:
        self._directory = workspace.directory(workspace.new_name("blobs"))
        self._workspace = workspace
        self._pool = pool
        self._cancellation = cancellation
        self._pusher = pusher
        self._until = until or cancellation
        self._discards = discards
        self._unfinished = 0
        self._lock = threading.Lock()
        self.form = form or LayerFormat()

    def export(
        self, snapshot: Snapshot, *, push: bool = True, last: bool = False, location: Location | None = None
    ) -> Future[WrittenLayer | None]:
        """Begin to write what a snapshot changed; the result is None where that is nothing.

        Args:
            snapshot: no longer mounted.
            push: whether the layer is part of the image, and so goes to its destinations.
            last: whether no step is executed over the layer, and none copies from it.
            location: of the instruction that made the changes, for what a layer cannot hold.
        """
        discarded = Discarded() if last and self._discards else None
        if discarded is not None:
            self._workspace.until_closed(discarded.close)
        with self._lock:
            self._unfinished += 1
        future = self._pool.submit(
            self._guarded, lambda: self._export(snapshot, discarded, push=push), location
        )
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _: object) -> None:
        with self._lock:
            self._unfinished -= 1

    def _changes(self, snapshot: Snapshot, discarded: Discarded | None) -> Iterator[Change]:
        if discarded is None:
            return snapshot.changes(self.form.clamp, None, self.form.left_out)
        own = os.fsencode(self._workspace.path) + b"/"
        with self._lock:
            is_alone = self._unfinished == 1  # a layer that is still written is compared with those under it
        if is_alone:
            discarded.add_lowers(path for path in snapshot.unread() if path.startswith(own))
        return snapshot.changes(self.form.clamp, discarded.add, self.form.left_out)

    def _guarded(
        self, work: Callable[[], WrittenLayer | None], location: Location | None
    ) -> WrittenLayer | None:
        try:
            with interrupt.interrupted_by(self._until.check):
                return work()
        except BuildError as error:
            if isinstance(error, StepError) and error.location is None:
                error.location = location
            self._cancellation.cancel(error)
            raise
        except OSError as error:
            refused = from_os_error(error, "a layer cannot be written")
            self._cancellation.cancel(refused)
            raise refused from error

    def _export(self, snapshot: Snapshot, discarded: Discarded | None, *, push: bool) -> WrittenLayer | None:
        self._until.check()
        changes = self._changes(snapshot, discarded)
        first = next(changes, None)
        if first is None:
            return None
        path = os.path.join(self._directory, self._workspace.new_name("layer"))
        pusher = self._pusher if push else None
        # With fixed times the layer may well be what was pushed before: asking for it comes first then.
        with pusher.stream() if pusher and self.form.epoch is None else BlobStream({}) as upload:
            blob = self._write(tar_stream(itertools.chain([first], changes)), path, upload)
            sent = upload.commit(blob.digest)
        descriptor = Descriptor(self.form.media_type, blob.digest, blob.size)
        layer = WrittenLayer(descriptor, blob.diff_id, path)
        if pusher is not None and self._cancellation.reason is None:
            self._push(layer, pusher, sent)
        return layer

    def _push(self, layer: WrittenLayer, pusher: Pusher, sent: frozenset[Repository]) -> None:
        try:
            pusher.push_blob(
                layer.descriptor,
                lambda: open(layer.path, "rb"),  # noqa: SIM115 - its caller closes it
                sent,
            )
        except OutputError:
            # Where it was ended because a step has failed, the layer is whole, and a cache may want it.
            if self._cancellation.reason is None:
                raise

    def _write(self, stream: Iterator[bytes], path: str, upload: BlobStream) -> LayerBlob:
        """Write a blob to a file and to registries, which are busy at the same time as the compressor."""
        with open(path, "wb") as file:

            def write(data: bytes) -> None:
                file.write(data)
                upload.write(data)

            return write_blob(self._unless_stopped(stream), write, self.form)

    def _unless_stopped(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        for piece in stream:
            self._until.check()
            yield piece
