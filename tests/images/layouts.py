"""Base images as OCI image layouts, made once and kept under $XDG_CACHE_HOME/strake/images.

    python -m tests.images.layouts [NAME…]

A layout's directory is named by its recipe's key and appears by a rename, so that it is whole or not
there; a lock keeps two makers of one image apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from isal import igzip

from tests.images.recipes import EPOCH, RECIPES, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    tar, layout = scratch / "layer.tar", scratch / "layout"
    recipe.write(tar)
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    diff_id = hashlib.sha256()
    with (
        tar.open("rb") as source,
        (scratch / "layer").open("wb") as raw,
        igzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=2, mtime=0) as packed,
    ):
        while chunk := source.read(CHUNK):
            diff_id.update(chunk)
            packed.write(chunk)
    tar.unlink()
    layer = _adopt(scratch / "layer", blobs, "application/vnd.oci.image.layer.v1.tar+gzip")
    created = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": recipe.config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id.hexdigest()}"]},
        "history": [{"created": created, "created_by": f"tests/images: {recipe.name}"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _store(config, blobs, "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    entry = _store(manifest, blobs, "application/vnd.oci.image.manifest.v1+json")
    entry["platform"] = {"architecture": "amd64", "os": "linux"}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _adopt(file: Path, blobs: Path, media_type: str) -> dict[str, object]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    file.rename(blobs / digest)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": (blobs / digest).stat().st_size}


def _store(document: dict[str, object], blobs: Path, media_type: str) -> dict[str, object]:
    file = blobs / "new"
    file.write_text(json.dumps(document, separators=(",", ":")))
    return _adopt(file, blobs, media_type)


if __name__ == "__main__":
    for name in sys.argv[1:] or RECIPES:
        print(image_layout(name))
