"""The plugin as krew installs it: an archive for each architecture, and the manifest that names them.

krew unpacks an archive and links one program of it, and a plugin in Python needs what it imports beside it.
So an archive has a launcher and `lib/`, the packages of requirements/kubectl.txt. Extension modules are named
after the Python that they are compiled for, so that one directory has them for all that are supported.
Nothing is unpacked or downloaded when it first runs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from release.files import ReleaseError, run, sha256, write_archive

NAME: Final = "strake"
PROGRAM: Final = "kubectl-strake"
ARCHITECTURES: Final = ("amd64", "arm64")
_PLATFORMS: Final = {"amd64": "x86_64-manylinux_2_17", "arm64": "aarch64-manylinux_2_17"}
"""As Go and krew name an architecture → as uv names its wheels, for Linux with glibc 2.17 or later."""
_NOT_SHIPPED: Final = frozenset(["__pycache__", "bin", ".lock"])
"""Of a directory of packages: programs that name this machine's Python, and what uv writes."""
_METADATA: Final = re.compile(
    r"[^/]+\.dist-info/(METADATA|(licenses/.*|LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*)"
)
"""What is shipped of a package's metadata: the rest is about one Python, or how it was installed."""
_DESCRIPTION: Final = """\
The plugin makes ImageBuilds, of a directory of your machine too, follows and explains them,
and shows them in a browser. The cluster needs Strake's operator.
"""
_LAUNCHER: Final = '''\
#!/usr/bin/env python3
"""kubectl-strake {version}. What it imports is in lib/, for CPython {first} to {last}."""
import os
import sys

if not {low} <= sys.version_info[:2] <= {high}:
    sys.exit(
        "error: kubectl strake runs with Python {first} to {last}, and python3 is %d.%d (%s)\\n"
        "  put a newer one first in $PATH, or install the plugin with pip: pip install 'strake[kubectl,ui]'"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
sys.path[0] = os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib")
from strake_kubectl.main import main

main()
'''


@dataclass(frozen=True, slots=True)
class Contents:
    """What the archives of a release have.

    Attributes:
        root: Of the tree.
        wheel: Of Strake.
        version: Of the release.
        pythons: Versions of CPython, as `3.11`, in ascending order.
        moment: The time that every file has, in seconds since the epoch.
    """

    root: Path
    wheel: Path
    version: str
    pythons: Sequence[str]
    moment: int


def supported_pythons(root: Path) -> list[str]:
    """Return the versions of CPython that the package says it runs with, in ascending order."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    words = [each.rpartition(" :: ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    return sorted(words, key=_pair)


def write_plugin(contents: Contents, out: Path, architecture: str) -> Path:
    """Write the archive for an architecture; return its path.

    Raises:
        ReleaseError: A package has no wheel for it, or two Pythons would need different files of one name.
    """
    files: dict[str, tuple[bytes, bool]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for python in contents.pythons:
            packages = Path(directory, python)
            _install(contents, packages, architecture, python)
            for name, content in _files(packages).items():
                if files.setdefault(f"lib/{name}", (content, False)) != (content, False):
                    raise ReleaseError(
                        f"lib/{name} differs between Python {contents.pythons[0]} and {python}:"
                        " one archive cannot have both"
                    )
    files["LICENSE"] = ((contents.root / "LICENSE").read_bytes(), False)
    files[PROGRAM] = (_launcher(contents).encode(), True)
    archive = out / f"{PROGRAM}-linux-{architecture}.tar.gz"
    write_archive(archive, files, contents.moment)
    return archive


def write_manifest(out: Path, version: str, downloads: str, archives: dict[str, Path], summary: str) -> Path:
    """Write krew's manifest of the plugin, `strake.yaml`; return its path.

    Args:
        out: Directory of the file.
        version: Of the release.
        downloads: The URL under which the files of each release are, by tag.
        archives: Architecture → archive.
        summary: One line on the project.
    """
    document: dict[str, Any] = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": NAME},
        "spec": {
            "version": f"v{version}",
            "homepage": "https://strake.dev/docs/kubectl/",
            "shortDescription": "Build container images in the cluster, and follow them",
            "description": f"{summary}.\n{_DESCRIPTION}",
            "caveats": "It needs python3, of a version that the program tells when it has another.\n",
            "platforms": [
                {
                    "selector": {"matchLabels": {"os": "linux", "arch": architecture}},
                    "uri": f"{downloads}/v{version}/{path.name}",
                    "sha256": sha256(path),
                    "bin": PROGRAM,
                }
                for architecture, path in archives.items()
            ],
        },
    }
    path = out / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")
    return path


def _install(contents: Contents, packages: Path, architecture: str, python: str) -> None:
    """Install wheels for another machine: none is built, each has the digest of the lock."""
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", f"--target={packages}"]
    target = [f"--python-platform={_PLATFORMS[architecture]}", f"--python-version={python}"]
    wheels = ["--no-deps", "--only-binary=:all:"]
    lock = ["--require-hashes", f"--requirement={contents.root / 'requirements/kubectl.txt'}"]
    what = f"the plugin's packages for {architecture} and Python {python}"
    environment = {"UV_PYTHON": sys.executable}
    run([*uv, *target, *wheels, *lock], what, contents.root, **environment)
    run([*uv, *target, *wheels, str(contents.wheel)], what, contents.root, **environment)


def _files(packages: Path) -> dict[str, bytes]:
    found = {}
    for directory, folders, names in os.walk(packages):
        folders[:] = [each for each in folders if each not in _NOT_SHIPPED]
        for file in names:
            path = Path(directory, file)
            name = path.relative_to(packages).as_posix()
            is_metadata = ".dist-info/" in name
            if file not in _NOT_SHIPPED and (not is_metadata or _METADATA.fullmatch(name)):
                found[name] = path.read_bytes()
    return found


def _launcher(contents: Contents) -> str:
    first, last = contents.pythons[0], contents.pythons[-1]
    return _LAUNCHER.format(
        version=contents.version, first=first, last=last, low=_pair(first), high=_pair(last)
    )


def _pair(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))
