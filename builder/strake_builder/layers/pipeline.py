"""Turns a layer's members into a compressed blob and its digests, in one pass.

Reading, hashing and compressing run in threads of their own, which helps because all three release
the interpreter lock. Queues are short, so memory does not grow with the layer.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from strake_builder.layers.compression import compressor
from strake_builder.layers.format import LayerFormat
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import DiffID, Digest, Hasher
from strake_oci.spec.mediatype import Compression

_PIECE: Final = 1 << 20
_QUEUED: Final = 4
_SMALL: Final = 4 * _PIECE


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """What a written layer is called.

    Attributes:
        diff_id: digest of the tar stream.
        digest: digest of the compressed blob.
        size: bytes of the compressed blob.
        uncompressed_size: bytes of the tar stream.
    """

    diff_id: DiffID
    digest: Digest
    size: int
    uncompressed_size: int


def write_blob(
    stream: Iterable[bytes],
    write: Callable[[bytes], object],
    form: LayerFormat | None = None,
) -> LayerBlob:
    """Compress a tar stream into `write` and return its digests.

    Args:
        stream: pieces of the tar stream; it is consumed in the calling thread.
        write: takes the compressed pieces, in order, from one thread.
        form: compression and level of the blob; gzip at a fast level where None.

    Raises:
        Exception: whatever `stream` or `write` raises; every thread has ended by then.
    """
    form = form or LayerFormat()
    plain = Hasher()
    packed = plain if form.compression is Compression.NONE else Hasher()
    pack = compressor(form.compression, form.level)

    def deliver(data: bytes) -> None:
        if packed is not plain:  # hashed once where both digests are of the same bytes
            packed.update(data)
        write(data)

    def take(piece: bytes) -> None:
        data = pack.compress(piece)
        if data:
            deliver(data)

    pieces = _regrouped(stream)
    head = list(itertools.islice(pieces, _SMALL // _PIECE))
    if len(head) < _SMALL // _PIECE:  # small: threads would cost more than they give
        for piece in head:
            plain.update(piece)
            take(piece)
    else:
        with _Worker(plain.update) as hashing, _Worker(take) as compressing:
            for source in (head, pieces):
                for piece in source:
                    hashing.put(piece)
                    compressing.put(piece)
    deliver(pack.flush())
    return LayerBlob(DiffID(plain.digest()), packed.digest(), packed.size, plain.size)


def _regrouped(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of exactly `_PIECE`, the last one excepted.

    Calls and queue entries are few. And ISA-L's output depends on where its input is cut: without fixed
    cuts, a read that the kernel cut short would change the blob's digest.
    """
    parts: list[bytes] = []
    held = 0
    for part in stream:
        parts.append(part)
        held += len(part)
        if held < _PIECE:
            continue
        joined = memoryview(b"".join(parts) if len(parts) > 1 else part)
        whole = held - held % _PIECE
        for at in range(0, whole, _PIECE):
            yield bytes(joined[at : at + _PIECE])
        parts, held = ([bytes(joined[whole:])], held - whole) if held != whole else ([], 0)
    if parts:
        yield b"".join(parts)


class _Worker:
    """A thread that takes pieces from a short queue; leaving the context ends it and passes its error on."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._take = take
        self._error: BaseException | None = None
        self._is_in_vain = False
        self._thread = threading.Thread(target=self._run, name="layer", daemon=True)

    def put(self, piece: bytes) -> None:
        if self._error is not None:
            raise self._error
        self._queue.put(piece)

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            if self._error is None and not self._is_in_vain:
                try:
                    self._take(piece)
                except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                    self._error = error

    def __enter__(self) -> _Worker:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_in_vain = exc[0] is not None  # what waits may be seconds of work at a high level
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and exc[0] is None:
            raise self._error
