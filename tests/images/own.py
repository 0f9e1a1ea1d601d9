"""Strake's own images, built by Strake from this source tree.

A built image is kept as an OCI layout beside the base images, under a key made of everything that goes into
it: a second demo or test run of the same tree does not build it again.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from strake_oci.spec.manifest import Manifest, parse
from strake_oci.stores.layout import Layout
from tests.fixtures.servers.registry import running_registry
from tests.images.layouts import cache_directory, image_layout
from tests.images.push import push_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
INPUTS = (
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
    "kubectl",
    "deploy/image",
)
"""What the Dockerfile is built from."""


_KEPT_SECONDS = 3 * 3600


class OwnImageError(Exception):
    """Strake could not build Strake; the message is the end of its output."""


def own_layout(target: str, say: Callable[[str], None]) -> Path:
    """Return the OCI layout of an image, its only manifest, built now where it is not kept.

    Args:
        target: a stage of the Dockerfile.
        say: called with what takes time.

    Raises:
        OwnImageError: the build failed.
    """
    kept = cache_directory() / f"strake-{target}-{sources_key()}"
    if kept.exists():
        return kept
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / f"strake-{target}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            say(f"strake build --target {target} … (half a minute)")
            with tempfile.TemporaryDirectory(prefix=f".strake-{target}-", dir=cache_directory()) as scratch:
                _build(target, Path(scratch))
                _forget_old(target)
                Path(scratch, "layout").rename(kept)
    return kept


def _forget_old(target: str) -> None:
    """Remove images that no run can be using any more: the sources change often."""
    for old in cache_directory().glob(f"strake-{target}-*"):
        if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(old)


def own_root(say: Callable[[str], None], target: str = "builder") -> Path:
    """Return a directory with the files of an image, as a container runtime unpacks it.

    It belongs to all who run tests with these sources: put something over it, and leave it as it is.

    Args:
        say: called with what takes time.
        target: a stage of the Dockerfile.
    """
    root = own_layout(target, say)
    unpacked = root / "root"
    with (cache_directory() / f"strake-{target}-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not unpacked.exists():
            scratch = root / ".root"
            scratch.mkdir(exist_ok=True)
            for layer in own_manifest(target)[0].layers:
                blob = root / "blobs" / layer.digest.algorithm / layer.digest.encoded
                subprocess.run(["tar", "-xzpf", blob, "--numeric-owner", "-C", scratch], check=True)
            scratch.rename(unpacked)
    return unpacked


def own_manifest(target: str = "builder") -> tuple[Manifest, Path]:
    """Return the manifest of an image, which must be built, and its layout."""
    path = own_layout(target, lambda _: None)
    layout = Layout(path)
    found = parse(layout.manifest(layout.resolve()))
    if not isinstance(found, Manifest):
        raise OwnImageError(f"{path} is an index")
    return found, path


@functools.cache
def sources_key() -> str:
    """Return a hash of everything that Strake's images are made of, as it was when this process first asked."""
    found = hashlib.sha256(Layout(image_layout("python")).resolve("latest").digest.encoded.encode())
    for file in _files():
        found.update(f"{file.relative_to(ROOT)}\0{file.stat().st_mode}\0{file.stat().st_size}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _files() -> Iterator[Path]:
    for name in INPUTS:
        path = ROOT / name
        if path.is_file():
            yield path
        else:
            yield from (
                file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts
            )


def _build(target: str, scratch: Path) -> None:
    with running_registry() as registry:
        base = f"{registry.host}/library/python:3.11"
        push_image("python", base)
        command = [
            str(Path(sys.executable).with_name("strake")),
            "build",
            f"--context={ROOT}",
            f"--target={target}",
            f"--build-arg=BASE={base}",
            f"--insecure-registry={registry.host}",
            f"--work-dir={scratch}/work",
            f"--cache-dir={cache_directory().parent}/steps",
            "--cache-max-size=2GiB",
            f"--output=type=oci,dest={scratch}/layout,tar=false",
        ]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
        )
    if done.returncode:
        raise OwnImageError(f"strake build ended with status {done.returncode}:\n{done.stdout[-3000:]}")
