"""The site: made without a warning, with links that lead somewhere, and nothing from other hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.pages.blocks import ROOT

_LOADED = re.compile(
    r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"?(?P<url>(?:https?:)?//[^\"\s>]+)"
)
_KNOWN = {"https://strake.dev/docs/"}
"""The site's own address, by which pages name themselves."""


def built(directory, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(directory), *words]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    done = built(directory, "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_page_is_there(site):
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    made = {str(page.parent.relative_to(site)) for page in site.rglob("index.html")}
    assert {name.removesuffix(".md") for name in pages} - {"index"} <= made


def test_it_loads_nothing_from_another_host(site):
    loaded = {found["url"] for page in site.rglob("*.html") for found in _LOADED.finditer(page.read_text())}
    assert {url for url in loaded if not any(url.startswith(known) for known in _KNOWN)} == set()


@pytest.mark.parametrize(
    "link", ["missing.md", "../deploy/missing.yaml", "../../outside", "cli.md#no-such-part"]
)
def test_a_link_that_leads_nowhere_ends_it(tmp_path, link):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Page\n\n[link]({link})\n")
    (tmp_path / "docs/cli.md").write_text("# Other\n")
    settings = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    settings = settings.replace("docs/source_links.py", str(ROOT / "docs/source_links.py"))
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = built(tmp_path / "site", "--strict", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode != 0
    assert link.partition("#")[0] in done.stdout + done.stderr
