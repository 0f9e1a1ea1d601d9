"""The step cache in a directory: records by key, blobs by digest, unpacked layers beside them.

    steps/ab/ab12…      the manifest of an entry
    blobs/sha256-…      a layer as the registry gets it
    layers/sha256-…     a layer unpacked (solve.layer_store)
    usage/…             who uses which blob and layer

Everything appears by a rename, so that builds may share the directory and be killed at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from typing import Final

from strake_builder import interrupt
from strake_builder.cache.entry import Entry, UnsoundEntryError, read_entry, write_entry
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, Warn
from strake_builder.cache.usage import Usage
from strake_builder.layers.blobs import WrittenLayer
from strake_oci.spec.digest import Digest

STEPS: Final = "steps"
BLOBS: Final = "blobs"
_RECORD_LIMIT: Final = 1 << 20
_PARTIAL: Final = ".partial-"
_NO_LINK: Final = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


class LocalCache:
    """A `StepCache` in a directory. Thread-safe.

    Args:
        directory: made where it is missing.
        usage: holds what this build uses.
        warn: hears of what is unsound or cannot be kept.
    """

    name = "the local cache"

    def __init__(self, directory: str, usage: Usage, warn: Warn) -> None:
        self._steps = os.path.join(directory, STEPS)
        self._blobs = os.path.join(directory, BLOBS)
        for path in (self._steps, self._blobs):
            os.makedirs(path, exist_ok=True)
        self._usage = usage
        self._warn = warn

    def lookup(self, key: Key) -> CachedStep | None:
        """Return the result under a key; a record whose blob is gone or of another size is none."""
        path = self._record(key)
        try:
            with open(path, "rb") as file:
                data = file.read(_RECORD_LIMIT)
        except OSError:
            return None
        try:
            entry = read_entry(data, key)
            return CachedStep(self._layer(entry), entry.created, entry.outline)
        except UnsoundEntryError as error:
            if str(error):
                self._warn(f"an entry of {self.name} is left out: {error}")
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None

    def _layer(self, entry: Entry) -> WrittenLayer | None:
        if entry.layer is None:
            return None
        descriptor, diff_id = entry.layer
        name = _file_name(descriptor.digest)
        path = os.path.join(self._blobs, name)
        self._usage.hold(name)
        try:
            size = os.stat(path, follow_symlinks=False).st_size
        except OSError as error:
            raise UnsoundEntryError from error  # pruned: nothing to tell anybody
        if size != descriptor.size:
            raise UnsoundEntryError(f"its blob has {size} bytes, not {descriptor.size}")
        return WrittenLayer(descriptor, diff_id, path)

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Keep a result; only those whose blob is in a file, since others are in a registry already."""
        layer = result.layer
        if layer is not None and not isinstance(layer, WrittenLayer):
            return
        try:
            if layer is not None:
                self._keep_blob(layer)
            stored = (layer.descriptor, layer.diff_id) if layer else None
            entry = Entry(stored, result.created, result.outline)
            record = write_entry(entry, keys).serialize()
            for key in keys:
                self._write(self._record(key), record)
        except OSError as error:
            self._warn(f"a step cannot be kept in {self.name}: {error.strerror}")

    def _keep_blob(self, layer: WrittenLayer) -> None:
        name = _file_name(layer.descriptor.digest)
        self._usage.hold(name, layer.descriptor.size)
        path = os.path.join(self._blobs, name)
        if os.path.exists(path) and os.path.getsize(path) == layer.descriptor.size:
            return
        scratch = tempfile.mktemp(prefix=_PARTIAL, dir=self._blobs)  # noqa: S306 - link(2) refuses a name that exists
        try:
            try:
                os.link(layer.path, scratch)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                _copy(layer.path, scratch)
            os.rename(scratch, path)
        finally:
            with contextlib.suppress(FileNotFoundError):  # renaming a link onto its own inode does nothing
                os.unlink(scratch)

    def _record(self, key: Key) -> str:
        return os.path.join(self._steps, key.hex[:2], key.hex)

    def _write(self, path: str, data: bytes) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd, scratch = tempfile.mkstemp(prefix=_PARTIAL, dir=self._steps)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            os.rename(scratch, path)
        except OSError:
            os.unlink(scratch)
            raise


def _copy(source: str, target: str) -> None:
    """Copy a blob to another file system, unless the build is stopped."""
    with open(source, "rb") as reader, open(target, "xb") as writer:
        writer.writelines(interrupt.pieces(reader))


def _file_name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.encoded}"
