"""The step cache in an OCI image layout: for machines that share a directory and no registry.

The entries are those of a registry (`cache.entry`): a manifest for each step, which `index.json` lists
under each of its keys. A layout has no server that expires what is old, so the first result that a build
keeps also removes the entries that are older than the TTL, with their blobs. Other images of the layout stay.

What is in a layout is believed no more than what a registry sends: layers are checked by whoever reads them,
and a layout that is damaged costs the build its cache, never the build.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from strake_builder.cache.directories import make_directory
from strake_builder.cache.entry import (
    ARTIFACT_TYPE,
    CREATED,
    Entry,
    UnsoundEntryError,
    read_entry,
    read_timestamp,
    write_entry,
)
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, Warn
from strake_builder.layers.blobs import WrittenLayer
from strake_oci.errors import LayoutError, OCIError
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import timestamp
from strake_oci.spec.manifest import Index, parse
from strake_oci.stores.layout import TEMPORARY, Layout
from strake_oci.stores.layout_index import MARKER, REF_NAME, blob_path

MAX_ENTRIES: Final = 8000
"""Keys in `index.json`, which has 4 MiB at most: the oldest go first."""
_ALGORITHMS: Final = ("sha256", "sha512")
_BEFORE_MARKER: Final = frozenset({"blobs", "index.json"})
_ABSENT: Final = (0, 0, 0)


@dataclass
class _Listed:
    """What `index.json` listed when it had a certain identity: inode, size and time of change."""

    identity: tuple[int, int, int] = _ABSENT
    entries: Mapping[str, Descriptor] = field(default_factory=dict)


class LayoutCache:
    """A `StepCache` in an image layout. Thread-safe, and for several builds at a time.

    Args:
        path: of the layout's directory; it is made with the first result.
        ttl: entries older than this are misses, and are removed.
        warn: hears of entries that are left out, and of a layout that cannot be used.
        writes: whether results are kept.
    """

    def __init__(self, path: str, ttl: timedelta, warn: Warn, *, writes: bool = True) -> None:
        self._path = Path(path)
        self._ttl = ttl
        self._warn = warn
        self._writes = writes
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._listed = _Listed()
        self._has_expired = False

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"the cache oci:{self._path}"

    def lookup(self, key: Key) -> CachedStep | None:
        """Return the result under a key; an entry whose layer is gone or of another size is none."""
        if "looking up" in self._failed:
            return None
        try:
            found = self._entries().get(key.hex)
        except (OCIError, OSError) as error:
            self._fail("looking up", error)
            return None
        if found is None or any(made + self._ttl < datetime.now(UTC) for made, _ in _dated([found])):
            return None
        try:
            entry = read_entry(Layout(self._path).manifest(found), key, found.media_type)
            if entry.created + self._ttl < datetime.now(UTC):
                return None
            return CachedStep(self._layer(entry), entry.created, entry.outline)
        except UnsoundEntryError as error:
            reason = str(error)
        except OCIError as error:
            reason = error.message
        if reason:
            self._warn(f"an entry of {self.name} is left out: {reason}")
        return None

    def _entries(self) -> Mapping[str, Descriptor]:
        """Return what is listed by name; the index is read again only when it was replaced."""
        try:
            found = os.stat(self._path / "index.json")
        except FileNotFoundError:
            return {}  # of the first build
        identity = (found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            if self._listed.identity != identity:
                index = Layout(self._path).index()
                listed = {each.annotations.get(REF_NAME, ""): each for each in index.manifests}
                self._listed = _Listed(identity, listed)
            return self._listed.entries

    def _layer(self, entry: Entry) -> WrittenLayer | None:
        if entry.layer is None:
            return None
        descriptor, diff_id = entry.layer
        path = self._path / blob_path(descriptor.digest)
        try:
            found = os.lstat(path)
        except OSError as error:
            raise UnsoundEntryError from error  # removed by another build: nothing to tell anybody
        if not stat.S_ISREG(found.st_mode):
            raise UnsoundEntryError("its blob is no file")
        if found.st_size != descriptor.size:
            raise UnsoundEntryError(f"its blob has {found.st_size} bytes, not {descriptor.size}")
        return WrittenLayer(descriptor, diff_id, str(path))

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Keep a result; only those whose blob is in a file, since others are in a registry already."""
        layer = result.layer
        if not self._writes or "storing" in self._failed:
            return
        if layer is not None and not isinstance(layer, WrittenLayer):
            return
        stored = (layer.descriptor, layer.diff_id) if layer else None
        manifest = write_entry(Entry(stored, result.created, result.outline), keys)
        try:
            _refuse_links(self._path)
            make_directory(str(self._path / "blobs" / EMPTY.digest.algorithm))
            layout = Layout(self._path, create=True)
            layout.push_blob(EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
            if layer is not None:
                self._keep_blob(layout, layer)
            entry = layout.push_manifest(manifest.serialize(), manifest.media_type)
            created = {CREATED: timestamp(result.created)}
            self._list(layout, replace(entry, artifact_type=ARTIFACT_TYPE, annotations=created), keys)
        except (OCIError, OSError) as error:
            self._fail("storing", error)

    def _keep_blob(self, layout: Layout, layer: WrittenLayer) -> None:
        path = self._path / blob_path(layer.descriptor.digest)
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != layer.descriptor.size:
                path.unlink()  # damaged: it would stay, since a blob that is there is not written again
        layout.push_blob(layer.descriptor, lambda: open(layer.path, "rb"))  # noqa: SIM115 - its caller closes it

    def _list(self, layout: Layout, entry: Descriptor, keys: tuple[Key, ...]) -> None:
        """List an entry under its keys, and no longer what is too old, once a build."""
        with self._lock:
            expires, self._has_expired = not self._has_expired, True
        names = frozenset(key.hex for key in keys)
        dropped: list[Descriptor] = []

        def changed(index: Index) -> Index:
            others = [each for each in index.manifests if each.annotations.get(REF_NAME) not in names]
            named = [replace(entry, annotations={**entry.annotations, REF_NAME: name}) for name in names]
            old = _outdated(others, self._ttl, MAX_ENTRIES - len(named)) if expires else ()
            dropped.extend(old)
            kept = [each for each in others if each not in old]
            if old:
                _remove_blobs(layout, dropped, [*kept, *named])
            return Index((*kept, *named), annotations=index.annotations, extra=index.extra)

        layout.update(changed)

    def _fail(self, operation: str, error: OCIError | OSError) -> None:
        """Give up an operation for the rest of the build, and say so once."""
        with self._lock:
            first = operation not in self._failed
            self._failed.add(operation)
        if first:
            reason = error.message if isinstance(error, OCIError) else error.strerror
            self._warn(f"{operation} steps in {self.name} failed; the build goes on without: {reason}")


def _refuse_links(path: Path) -> None:
    """Refuse a layout whose blobs are somewhere else: what is removed here would be another directory's.

    Raises:
        LayoutError: a directory of blobs is a link.
    """
    for each in (path / "blobs", *(path / "blobs" / name for name in _ALGORITHMS)):
        if each.is_symlink():
            raise LayoutError(f"{each} is a link", hint="a layout that is a cache has its blobs in itself")


def unusable(path: str) -> str:
    """Return why a directory can be no cache, "" where it can: a layout, an empty directory, or none yet.

    Another build may be making the layout: what it has before it has its marker is no reason.
    """
    try:
        names = {name for name in os.listdir(path) if not name.startswith(TEMPORARY)}
        if MARKER not in names and names - _BEFORE_MARKER:
            return "it is no OCI image layout, and not empty"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error.strerror)
    return ""


def _outdated(entries: Iterable[Descriptor], ttl: timedelta, limit: int) -> frozenset[Descriptor]:
    """Return the cache entries among what is listed that are older than a TTL, or the oldest of too many."""
    ours = sorted(_dated(entries), key=lambda each: each[0])
    oldest = datetime.now(UTC) - ttl
    surplus = len(ours) - limit
    return frozenset(each for number, (made, each) in enumerate(ours) if made < oldest or number < surplus)


def _dated(entries: Iterable[Descriptor]) -> Iterator[tuple[datetime, Descriptor]]:
    for each in entries:
        if each.artifact_type == ARTIFACT_TYPE:
            with contextlib.suppress(UnsoundEntryError):
                yield read_timestamp(each.annotations.get(CREATED, "")), each


def _remove_blobs(layout: Layout, dropped: Iterable[Descriptor], kept: Iterable[Descriptor]) -> None:
    """Remove what only entries that are dropped have; nothing, where not all that stays can be read."""
    try:
        used = {digest for each in set(kept) for digest in _digests(layout, each)}
    except OCIError:
        return
    for each in set(dropped):
        with contextlib.suppress(OCIError):
            for digest in _digests(layout, each) - used - {EMPTY.digest}:
                (layout.path / blob_path(digest)).unlink(missing_ok=True)


def _digests(layout: Layout, descriptor: Descriptor) -> frozenset[Digest]:
    """Return the digests of all that a descriptor leads to, its own included.

    Raises:
        OCIError: a manifest on the way cannot be read.
    """
    if descriptor.media_type not in mediatype.INDEXES | mediatype.MANIFESTS:
        return frozenset({descriptor.digest})
    found = parse(layout.manifest(descriptor), descriptor.media_type).references
    return frozenset({descriptor.digest}).union(*(_digests(layout, each) for each in found))
