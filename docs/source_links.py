"""A hook of mkdocs: links to files beside the documentation lead to the repository, and must exist there."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")


class BrokenLinkError(Exception):
    """A page links to a file that the repository does not have."""


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page with the addresses of what is not in the site.

    Raises:
        BrokenLinkError: The repository has no such file.
    """
    here = posixpath.dirname(f"docs/{page.file.src_uri}")

    def address(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, link["path"]))
        if files.get_file_from_path(posixpath.relpath(path, "docs")) is not None:
            return link[0]
        if path.startswith("..") or not (_ROOT / path).exists():
            raise BrokenLinkError(f"docs/{page.file.src_uri} links to {link['path']}, which is not there")
        return f"{config.repo_url}/blob/main/{path}{link['anchor'] or ''}"

    return _LINK.sub(address, markdown)
