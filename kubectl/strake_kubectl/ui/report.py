"""One build as a page that needs no server: everything is in the file, and no script."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from markupsafe import Markup

from strake_kubectl.errors import CommandError
from strake_kubectl.ui.pages import asset, render

if TYPE_CHECKING:
    from strake_kubectl.builds import Build
    from strake_kubectl.ui.image import ReadImage
    from strake_kubectl.ui.logs import Logs


def report(build: Build, logs: Logs, read_image: ReadImage) -> str:
    """Return the page. What could not be read is told in it.

    Args:
        build: Which one, as it is now.
        logs: Read the log of its last run, as far as it is.
        read_image: Reads its image.
    """
    style = asset("ui.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    notes, image = [], None
    if build.status.image is not None:
        try:
            image = read_image(build.status.image)
        except CommandError as error:
            notes.append(f"Layers and attestations are not shown: {error.message}")
    return render(
        "report.html",
        build=build,
        log=logs.snapshot(build, build.run) if build.run else None,
        image=image,
        notes=notes,
        style=Markup(style),  # noqa: S704 - a file of this package
        style_hash=f"sha256-{digest}",
    )
