"""What each base image for tests and demo is made of.

    tiny     a static busybox, root only
    base     Debian 12, minbase
    python   Debian 12 with Python 3.11, crun and git: the base of Strake's own image
    pause    one static program that waits, for the test cluster's pod sandboxes

A recipe writes one uncompressed layer. The same recipe and the same Debian packages give the same
bytes: names sorted, times fixed, nothing of the machine inside (save, for `python`, the certificate
authorities that it trusts, so that pip works behind one of its own).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from strake_oci.spec.image import RuntimeConfig

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EPOCH = 1_700_000_000
BUSYBOX = Path("/bin/busybox")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class MissingToolError(Exception):
    """A program that a recipe needs is not installed; the message says which package has it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image of one layer: how to write its tar, the image's config, and what the content depends on."""

    name: str
    write: Callable[[Path], None]
    inputs: Callable[[], bytes]
    """Bytes that change when the content may change: part of the cache key."""
    config: RuntimeConfig
    expected: str
    """A word on how long it takes, for those who wait."""

    def key(self) -> str:
        """A short hash of everything that the image is made of, this file among it: a kept image is never stale."""
        recipe = Path(__file__).read_bytes()
        return hashlib.sha256(repr(self.config).encode() + recipe + self.inputs()).hexdigest()[:12]


def _tool(name: str | Path, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is not installed: run `make setup` (Debian package {package})")
    return found


# --- tiny and pause: written member by member ------------------------------------------------------


def _add(tar: tarfile.TarFile, name: str, mode: int, content: bytes | None = None, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.mtime, member.size = mode, EPOCH, len(content or b"")
    if target:
        member.type, member.linkname = tarfile.SYMTYPE, target
    elif content is None:
        member.type = tarfile.DIRTYPE
    tar.addfile(member, BytesIO(content or b""))


def _applets() -> list[str]:
    listed = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True)
    return sorted(set(listed.stdout.split()) - {"busybox"})


def _write_tiny(path: Path) -> None:
    _tool(BUSYBOX, "busybox-static")
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for directory in ("bin", "dev", "etc", "home", "proc", "root", "sys"):
            _add(tar, directory, 0o755)
        _add(tar, "tmp", 0o1777)
        _add(tar, "bin/busybox", 0o755, BUSYBOX.read_bytes())
        for applet in _applets():
            _add(tar, f"bin/{applet}", 0o777, target="/bin/busybox")
        _add(tar, "etc/group", 0o644, b"root:x:0:\n")
        _add(tar, "etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")


def _write_pause(path: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch, "pause")
        compiler = _tool("gcc", "gcc")
        subprocess.run([compiler, "-static", "-Os", "-s", "-o", program, HERE / "pause.c"], check=True)
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "pause", 0o755, program.read_bytes())


# --- Debian ----------------------------------------------------------------------------------------

# Device nodes cannot be made in a user namespace, and the runtime brings its own.
# mmdebstrap copies the machine's host name and resolver: not part of an image.
_NO_MACHINE = 'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'
_TRUST = f'{shlex.quote(sys.executable)} {shlex.quote(str(HERE / "trust.py"))} {CA_BUNDLE} "$1"'


def _write_debian(packages: list[str], hooks: list[str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        _tool("mmdebstrap", "mmdebstrap")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--skip=output/dev", "--format=tar"]
        command += [f"--include={','.join(packages)}"]
        command += [f"--customize-hook={hook}" for hook in [*hooks, _NO_MACHINE]]
        done = subprocess.run(
            [*command, "bookworm", str(path)],
            env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"mmdebstrap failed:\n{done.stderr[-2000:]}")

    return write


def _debian_inputs(packages: list[str], *files: Path) -> Callable[[], bytes]:
    return lambda: "\n".join(packages).encode() + b"".join(file.read_bytes() for file in files)


_BASE_PACKAGES = ["ca-certificates"]
_PYTHON_PACKAGES = [
    *_BASE_PACKAGES,
    *("busybox-static", "crun", "git", "openssh-client", "patchelf", "uidmap"),
    *("python3", "python3-pip", "python3-venv"),
]

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "tiny",
            _write_tiny,
            BUSYBOX.read_bytes,
            RuntimeConfig(env=(PATH,), cmd=("sh",)),
            "a second",
        ),
        Recipe(
            "base",
            _write_debian(_BASE_PACKAGES, []),
            _debian_inputs(_BASE_PACKAGES),
            RuntimeConfig(env=(PATH,), cmd=("bash",)),
            "half a minute",
        ),
        Recipe(
            "python",
            _write_debian(_PYTHON_PACKAGES, [_TRUST]),
            _debian_inputs(_PYTHON_PACKAGES, CA_BUNDLE, HERE / "trust.py"),
            RuntimeConfig(env=(PATH,), cmd=("python3",)),
            "a minute",
        ),
        Recipe(
            "pause",
            _write_pause,
            (HERE / "pause.c").read_bytes,
            RuntimeConfig(env=(PATH,), entrypoint=("/pause",)),
            "a second",
        ),
    )
}
