"""What a cluster gets: the packaged chart, and deploy/ as one file.

Both name the registry of the release, where the tree has a placeholder, and the images by the version. The
chart is written as `helm package` writes it, but for the times of its files, which are the commit's.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import yaml

from release.files import ReleaseError, run, write_archive

PLACEHOLDER: Final = "registry.example/strake/"
_HEADER: Final = """\
# Strake {version}: kubectl apply -f install.yaml
#
# Rendered from deploy/ of the same version. docs/operator.md explains the settings in the ConfigMap
# strake-operator; to change some, use kustomize with this file among its `resources`, or the chart.
---
"""


def write_chart(root: Path, out: Path, version: str, registry: str, moment: int) -> Path:
    """Write the chart's archive, `strake-VERSION.tgz`; return its path.

    Raises:
        ReleaseError: Chart.yaml has another version, or values.yaml does not name both images.
    """
    chart = root / "charts/strake"
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    if (about["version"], about["appVersion"]) != (version, version):
        raise ReleaseError(
            f"charts/strake/Chart.yaml is not of version {version}: run python -m release prepare"
        )
    files = {
        f"{about['name']}/{path.relative_to(chart).as_posix()}": (path.read_bytes(), False)
        for path in chart.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    values = f"{about['name']}/values.yaml"
    files[values] = (_with_registry(files[values][0].decode(), registry, "values.yaml").encode(), False)
    archive = out / f"{about['name']}-{version}.tgz"
    write_archive(archive, files, moment)
    return archive


def write_objects(root: Path, out: Path, version: str, registry: str, kustomize: list[str]) -> Path:
    """Write `install.yaml`, what kustomize makes of deploy/; return its path.

    Args:
        root: Of the tree.
        out: Directory of the file.
        version: Of the release.
        registry: Of the images.
        kustomize: The command that renders a directory; empty for what PATH has.

    Raises:
        ReleaseError: There is no kustomize, or it refuses deploy/.
    """
    command = kustomize or _found()
    with tempfile.TemporaryDirectory() as directory:
        for part in ("deploy", "crds"):
            shutil.copytree(root / part, Path(directory, part))
        settings = Path(directory, "deploy/kustomization.yaml")
        text = settings.read_text(encoding="utf-8")
        settings.write_text(_with_registry(text, registry, "deploy/kustomization.yaml"), encoding="utf-8")
        rendered = run([*command, str(settings.parent)], "deploy/ as one file", root)
    path = out / "install.yaml"
    path.write_text(_HEADER.format(version=version) + rendered, encoding="utf-8")
    return path


def _with_registry(text: str, registry: str, file: str) -> str:
    """Return a text with another registry for both images.

    Raises:
        ReleaseError: It does not have the placeholder twice.
    """
    if text.count(PLACEHOLDER) != 2:  # noqa: PLR2004 - the operator's image and the builder's
        raise ReleaseError(f"{file} does not name two images under {PLACEHOLDER}: one would be nobody's")
    return text.replace(PLACEHOLDER, f"{registry}/")


def _found() -> list[str]:
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    raise ReleaseError(
        "deploy/ as one file: install kustomize or kubectl, or name a command with --kustomize"
    )
