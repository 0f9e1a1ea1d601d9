"""Push a base image to a local registry.

python -m tests.images.push NAME REGISTRY/REPOSITORY:TAG
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from tests.images.layouts import image_layout

if TYPE_CHECKING:
    from pathlib import Path


def push_image(name: str, reference: str) -> str:
    """Make sure that a registry (spoken to over plain HTTP) has an image; return its digest."""
    layout = image_layout(name)
    repository, _, tag = reference.rpartition(":")
    host, _, path = repository.partition("/")
    base = f"http://{host}/v2/{path}"
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    content = _blob(layout, entry["digest"])
    manifest = json.loads(content.read_bytes())
    for descriptor in (*manifest["layers"], manifest["config"]):
        _push_blob(base, _blob(layout, descriptor["digest"]), descriptor["digest"])
    _send("PUT", f"{base}/manifests/{tag}", content.read_bytes(), entry["mediaType"])
    return entry["digest"]


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _push_blob(base: str, blob: Path, digest: str) -> None:
    try:
        _send("HEAD", f"{base}/blobs/{digest}")
    except urllib.error.HTTPError:
        location = _send("POST", f"{base}/blobs/uploads/")
        _send("PUT", f"{location}&digest={digest}", blob.read_bytes(), "application/octet-stream")


def _send(method: str, url: str, body: bytes | None = None, content_type: str = "") -> str:
    headers = {"Content-Type": content_type} if content_type else {}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
        return answer.headers.get("Location", "")


if __name__ == "__main__":
    print(push_image(sys.argv[1], sys.argv[2]))
