"""Makes the pictures of docs/ui.md: the pages of the browser's tests, as a person sees them.

python -m tests.browser.screenshots [DIRECTORY]      docs/images by default; `make screenshots`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.browser.chromium import Chromium, running_chromium
from tests.browser.shown import fill, running_ui
from tests.fixtures.servers.api_server import running_api_server

IMAGES: Final = Path(__file__).resolve().parents[2] / "docs/images"
PICTURES: Final = {
    "ui-builds-light": ("light", "/", ""),
    "ui-build-light": ("light", "/builds/team/api", ""),
    "ui-build-dark": ("dark", "/builds/team/api", ""),
    "ui-run-dark": ("dark", "/builds/team/api/runs/3", ""),
    "ui-log-light": ("light", "/builds/team/api/runs/3", "log-sum"),
}
"""Name → colours, page, and the ID of what is at the top of the picture; empty for the page's own top."""


def take(browser: Chromium, url: str, directory: Path) -> None:
    """Write all pictures.

    Args:
        browser: Which one; it was let in.
        url: Of the server, which shows the builds of `fill`.
        directory: Where they go.
    """
    for name, (scheme, path, top) in PICTURES.items():
        browser.prefer(scheme)
        browser.open(url + path)
        browser.until("return document.getElementById('connection').innerText === 'Live'")
        if path != "/":
            browser.until("return document.body.innerText.includes('RUN /api selftest')")
        if top:
            browser.run("document.getElementById(arguments[0]).scrollIntoView()", top)
        browser.picture(directory / f"{name}.png")


def main(directory: Path) -> None:
    """Start what there is to see, and take the pictures."""
    with tempfile.TemporaryDirectory(prefix="strake-screenshots-") as work, running_api_server() as api:
        profile = Path(work, "chromium")
        profile.mkdir()
        fill(api)
        with running_chromium(profile) as browser, running_ui(api, browser, Path(work)) as url:
            take(browser, url, directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
