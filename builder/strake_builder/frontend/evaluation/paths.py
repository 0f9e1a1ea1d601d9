"""Paths in an image, as text. Nothing here looks at a file system, so links are not followed."""

from __future__ import annotations

import posixpath


def clean(path: str) -> str:
    """Return an absolute path without ".", "..", doubled and trailing slashes (Go's path.Join("/", …))."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def workdir(current: str, path: str) -> str:
    """Return a new working directory (BuildKit's NormalizeWorkdir).

    An absolute one is kept exactly as written, a relative one is joined to the current one.
    """
    if not path:
        path = current or "/"
    return path if path.startswith("/") else clean(posixpath.join(current or "/", path))


def destination(current: str, path: str) -> str:
    """Return where COPY and ADD write, with a trailing slash if it must be a directory.

    "", "." and what ends in "/" or "/." must be.
    """
    must_be_directory = path in ("", ".") or path.endswith(("/", "/."))
    cleaned = clean(posixpath.join(current or "/", path))
    return cleaned + "/" if must_be_directory and cleaned != "/" else cleaned
