"""Sources of COPY and ADD: local paths, URLs, Git repositories."""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation import paths
from strake_builder.frontend.evaluation.git_source import parse_git
from strake_builder.frontend.model.steps import GitSource, PathSource, UrlSource
from strake_builder.frontend.patterns.glob import check_pattern, has_wildcards

_UNNAMED: Final = "__unnamed__"
_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\Z")


def copy_source(text: str, *, parents: bool) -> PathSource:
    """Read a source of COPY.

    Raises:
        FaultError: It is a URL or a Git repository, which only ADD takes.
    """
    hint = "use ADD for it, or RUN with curl or git"
    if parse_git(text) is not None:
        raise FaultError(Code.INVALID_SOURCE, "source can't be a git ref for COPY", hint=hint, needle=text)
    if is_url(text):
        raise FaultError(Code.INVALID_SOURCE, "source can't be a URL for COPY", hint=hint, needle=text)
    return path_source(text, parents=parents)


def add_source(text: str, *, checksum: str, keep_git_dir: bool | None) -> PathSource | UrlSource | GitSource:
    """Read a source of ADD.

    Raises:
        FaultError: A Git URL contradicts the flags, or the checksum is malformed.
    """
    git = parse_git(text, checksum=checksum, keep_git_dir=keep_git_dir)
    if git is not None:
        return git
    if is_url(text):
        if checksum and not _DIGEST.match(checksum):
            raise FaultError(
                Code.INVALID_CHECKSUM,
                f"invalid checksum {checksum[:80]!r}",
                hint="write --checksum=sha256: and 64 lower-case hexadecimal digits",
                needle="--checksum",
            )
        return UrlSource(text, _filename(text), checksum or None)
    return path_source(text, parents=False)


def path_source(text: str, *, parents: bool) -> PathSource:
    """Read a local path. With `parents`, "/./" marks where the kept directories begin.

    Raises:
        FaultError: It is a malformed pattern.
    """
    if has_wildcards(text):
        check_pattern(text)
    if not parents:
        return PathSource(paths.clean(text))
    root, pivot, pattern = text.partition("/./")
    if not pivot:
        root, pattern = "/", text
    pattern = paths.clean(pattern).removeprefix("/")
    exact = not (has_wildcards(root) or has_wildcards(pattern))
    required = paths.clean(posixpath.join(root, pattern)) if exact else None
    return PathSource(paths.clean(root), include=pattern, required=required)


def is_url(text: str) -> bool:
    """Tell whether a source is downloaded over HTTP(S); a Git URL is not."""
    return text.startswith(("http://", "https://")) and parse_git(text) is None


def check_checksum(checksum: str, sources: tuple[str, ...]) -> None:
    """Refuse `--checksum` where it cannot mean anything.

    Raises:
        FaultError: There is not exactly one source, or it is a local path.
    """
    if not checksum:
        return
    if len(sources) != 1:
        message, hint = "checksum can't be specified for multiple sources", "write one ADD for each"
    elif not is_url(sources[0]) and parse_git(sources[0]) is None:
        message, hint = "checksum requires HTTP(S) or Git sources", "take --checksum away"
    else:
        return
    raise FaultError(Code.INVALID_CHECKSUM, message, hint=hint, needle="--checksum")


def _filename(url: str) -> str:
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return _UNNAMED

    base = posixpath.basename(path.rstrip("/"))
    return base if base not in ("", ".", "..") and "\0" not in base else _UNNAMED
