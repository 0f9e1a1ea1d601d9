"""Base images as OCI image layouts, made once and kept under $XDG_CACHE_HOME/strake/images.

    python -m tests.images.layouts [NAME…]

A layout's directory is named by its recipe's key and appears by a rename, so that it is whole or not
there; a lock keeps two makers of one image apart.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from isal import igzip

from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Hasher
from strake_oci.spec.image import History, ImageConfig, timestamp
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.platform import host
from strake_oci.stores.layout import Layout
from tests.images.recipes import EPOCH, RECIPES, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 1 << 20


def cache_directory() -> Path:
    """Return where layouts are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strake/images"


def image_layout(name: str) -> Path:
    """Return the OCI image layout of a recipe (one manifest, tagged `latest`), made now where it is missing."""
    recipe = RECIPES[name]
    cache = cache_directory()
    layout = cache / f"{name}-{recipe.key()}"
    if layout.exists():
        return layout
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / f"{name}.lock"):
        if not layout.exists():
            print(f"making the image {name!r} (takes {recipe.expected}) …", file=sys.stderr, flush=True)
            started = time.monotonic()
            scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
            try:
                _make(recipe, scratch)
                (scratch / "layout").rename(layout)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            print(f"made {name!r} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return layout


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(recipe: Recipe, scratch: Path) -> None:
    tar = scratch / "layer.tar"
    recipe.write(tar)
    layout = Layout(scratch / "layout", create=True)
    layer, diff_id = _pack(tar, layout)
    created = timestamp(datetime.fromtimestamp(EPOCH, UTC))
    config = ImageConfig(
        platform=host(),
        config=recipe.config,
        diff_ids=(diff_id,),
        history=(History(created=created, created_by=f"tests/images: {recipe.name}"),),
        created=created,
    ).serialize()
    config_descriptor = Descriptor.of(mediatype.OCI_CONFIG, config)
    layout.push_blob(config_descriptor, lambda: BytesIO(config))
    manifest = Manifest(config_descriptor, (layer,))
    layout.push_manifest(manifest.serialize(), manifest.media_type, "latest")


def _pack(tar: Path, layout: Layout) -> tuple[Descriptor, DiffID]:
    """Compress a tar into a layout."""
    plain, packed = Hasher(), Hasher()
    with tar.open("rb") as source, layout.start_upload() as upload:
        sink = _Tee(packed.update, upload.write)
        with igzip.GzipFile(filename="", fileobj=sink, mode="wb", compresslevel=2, mtime=0) as compressor:
            while chunk := source.read(CHUNK):
                plain.update(chunk)
                compressor.write(chunk)
        descriptor = upload.commit(packed.digest(), mediatype.OCI_LAYER_GZIP)
    tar.unlink()
    return descriptor, DiffID(plain.digest())


class _Tee:
    """A file to write to that hands each piece to several takers."""

    def __init__(self, *takers: Callable[[bytes], object]) -> None:
        self._takers = takers

    def write(self, data: bytes) -> int:
        for take in self._takers:
            take(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


if __name__ == "__main__":
    for name in sys.argv[1:] or RECIPES:
        print(image_layout(name))
