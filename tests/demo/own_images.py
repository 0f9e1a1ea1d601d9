"""Strake's own images, built by Strake from this source tree and pushed to the test cluster's registry.

The built image is kept as an OCI layout beside the base images, under a key made of everything that
goes into it: a second demo or test run of the same tree only pushes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from strake_oci.copying import copy_image
from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from tests.cluster.settings import DIR, REGISTRY
from tests.images.layouts import cache_directory
from tests.images.push import push_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("builder", "operator")
PYTHON_IMAGE = f"{REGISTRY}/python:3.11"
_INPUTS = (
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements",
    "api",
    "oci",
    "builder",
    "operator",
    "deploy/image",
)


class OwnImageError(Exception):
    """Strake could not build Strake; the message is the end of its output."""


def own_images(say: Callable[[str], None]) -> dict[str, str]:
    """Return `repository@digest` of the builder's and the operator's image, built where they are not kept."""
    base = push_image("python", PYTHON_IMAGE)
    key = _key(base)
    with ThreadPoolExecutor(len(TARGETS)) as pool:
        return dict(zip(TARGETS, pool.map(lambda target: _own_image(target, key, say), TARGETS), strict=True))


def _key(base: str) -> str:
    found = hashlib.sha256(base.encode())
    for file in _files():
        found.update(f"{file.relative_to(ROOT)}\0{file.stat().st_mode}\0{file.stat().st_size}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _files() -> Iterator[Path]:
    for name in _INPUTS:
        path = ROOT / name
        if path.is_file():
            yield path
        else:
            yield from (
                file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts
            )


def _own_image(target: str, key: str, say: Callable[[str], None]) -> str:
    reference = Reference.parse(f"{REGISTRY}/strake/{target}:{key}")
    kept = cache_directory() / f"strake-{target}-{key}"
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        place = RegistryImages(client, reference.repository)
        if not kept.exists():
            say(f"strake build --target {target} … (half a minute)")
            _build(target, reference)
            scratch = kept.with_name(f".{kept.name}")
            shutil.rmtree(scratch, ignore_errors=True)
            copy_image(place, key, Layout(scratch, create=True), "latest")
            _forget_others(target)
            scratch.rename(kept)
        digest = copy_image(Layout(kept), "latest", place, key).digest
    say(f"{target}: {reference.repository}@{digest}")
    return f"{reference.repository}@{digest}"


def _forget_others(target: str) -> None:
    """Keep one image of each target: the sources change often."""
    for old in cache_directory().glob(f"strake-{target}-*"):
        shutil.rmtree(old)


def _build(target: str, reference: Reference) -> None:
    command = [
        str(Path(sys.executable).with_name("strake")),
        "build",
        f"--context={ROOT}",
        f"--target={target}",
    ]
    command += [f"--build-arg=BASE={PYTHON_IMAGE}", f"--destination={reference}"]
    command += [f"--insecure-registry={REGISTRY}", f"--work-dir={DIR}/strake-work/{target}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    if done.returncode:
        raise OwnImageError(f"strake build ended with status {done.returncode}:\n{done.stdout[-3000:]}")
