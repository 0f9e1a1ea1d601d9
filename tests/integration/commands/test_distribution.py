"""What `pip install strake` gives: the wheel and the sdist in an environment of their own, beside their dependencies alone.

No index is asked: the dependencies that the package's metadata names, and theirs, are linked from the environment that
runs the tests; nothing else of it can be imported.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """The wheel of the tree, the sdist, and the wheel of the sdist."""
    out, unpacked = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("unpacked")
    _hatchling(ROOT, out, "wheel", "sdist")
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    _hatchling(unpacked / f"strake-{PROJECT['version']}", unpacked, "wheel")
    wheel, again = next(out.glob("*.whl")), next(unpacked.glob("*.whl"))
    return {"wheel": wheel, "sdist": sdist, "wheel of the sdist": again}


@pytest.fixture(scope="module")
def programs(made, tmp_path_factory) -> Path:
    """The programs of an environment in which the sdist's wheel is installed."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin/python"
    _pip(python, "install", "--no-index", "--no-deps", str(made["wheel of the sdist"]))
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    for name in _closure("strake"):
        _link(name, packages)
    return python.parent


def test_the_sdist_gives_the_same_wheel(made):
    assert made["wheel"].read_bytes() == made["wheel of the sdist"].read_bytes()


def test_both_hold_the_license_and_nothing_of_the_tests(made):
    with zipfile.ZipFile(made["wheel"]) as wheel, tarfile.open(made["sdist"]) as sdist:
        names = {"wheel": wheel.namelist(), "sdist": sdist.getnames()}
    for kind, found in names.items():
        assert [name for name in found if name.endswith("/LICENSE")], kind
        assert [name for name in found if "tests" in name.split("/") or "__pycache__" in name] == [], kind


def test_what_is_installed_lacks_nothing(programs):
    assert "No broken requirements" in _pip(programs / "python", "check")


def test_the_extra_of_the_builder_is_still_known(made):
    with zipfile.ZipFile(made["wheel"]) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        assert "Provides-Extra: builder\n" in wheel.read(metadata).decode()


def test_the_command_line(programs, tmp_path):
    assert _run(programs, tmp_path, "--version").stdout == f"strake {PROJECT['version']}\n"
    assert "--destination" in _run(programs, tmp_path, "build", "--help").stdout


def test_lint(programs, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    assert _run(programs, tmp_path, "lint", "Dockerfile").stderr == ""


def test_an_image_is_built(programs, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "file").write_text("content\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
    for layer, media_type in (("gzip", "tar+gzip"), ("zstd", "tar+zstd")):
        layout = tmp_path / layer
        flags = (
            f"--output=type=oci,dest={layout},tar=false,compression={layer}",
            f"--work-dir={tmp_path}/work",
        )
        _run(programs, tmp_path, "build", f"--context={context}", *flags)
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]))
        assert [each["mediaType"].rpartition(".")[2] for each in manifest["layers"]] == [media_type]


def _hatchling(tree: Path, out: Path, *targets: str) -> None:
    words = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", *words, "-d", str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)


def _pip(python: Path, *words: str) -> str:
    command = [sys.executable, "-m", "pip", "--python", str(python), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _run(programs: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)}
    command = [str(programs / "strake"), *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def _closure(name: str, extras: tuple[str, ...] = ()) -> set[str]:
    """Return what a distribution needs, and what that needs, by normalized name."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        for line in distribution(current).requires or ():
            need = Requirement(line)
            markers = [{"extra": extra} for extra in ("", *wanted)]
            if need.marker is None or any(need.marker.evaluate(each) for each in markers):
                normal = re.sub(r"[-_.]+", "-", need.name).lower()
                if normal not in found:
                    found.add(normal)
                    waiting.append((normal, tuple(need.extras)))
    return found


def _link(name: str, packages: Path) -> None:
    """Make the modules of a distribution visible in another environment."""
    for file in distribution(name).files or ():
        first = file.parts[0]
        if first in {"..", "__pycache__"}:  # programs, manual pages
            continue
        target = packages / first
        if not target.exists():
            target.symlink_to(Path(str(distribution(name).locate_file(first))))
