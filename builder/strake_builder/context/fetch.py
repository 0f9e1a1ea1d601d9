"""Brings a build context to a local directory: a directory that is there, files in the manifest, or git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, assert_never
from urllib.parse import urlsplit, urlunsplit

from strake_api.request import DirectorySource, GitSource, InlineSource, Source
from strake_builder.errors import SourceError

_KUBELET_DATA: Final = "..data"
"""The kubelet mounts a ConfigMap as links to files in a directory of this name, which no context means."""
_GIT_SECONDS: Final = 600
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES: Final = frozenset({"https", "http", "ssh", "git"})
_MESSAGE_SHOWN: Final = 600


@dataclass(frozen=True, slots=True)
class FetchedContext:
    """A context on disk.

    Attributes:
        directory: its root; never written to.
        revision: the full commit hash, for a source that has one.
    """

    directory: str
    revision: str | None = None


def fetch_context(source: Source, scratch: str) -> FetchedContext:
    """Bring a context to a directory.

    Args:
        source: where it is.
        scratch: an existing empty directory to put it into where it is not local.

    Raises:
        SourceError: it cannot be fetched, with what git said.
    """
    chosen = source.chosen
    match chosen:
        case DirectorySource():
            if not os.path.isdir(chosen.path):
                raise SourceError(f"the context {chosen.path} is no directory")
            if os.path.islink(os.path.join(chosen.path, _KUBELET_DATA)):
                shutil.copytree(os.path.join(chosen.path, _KUBELET_DATA), scratch, dirs_exist_ok=True)
                return FetchedContext(scratch)
            return FetchedContext(os.path.realpath(chosen.path))
        case InlineSource():
            _write_inline(chosen, scratch)
            return FetchedContext(scratch)
        case GitSource():
            return _fetch_git(chosen, scratch)
        case _:
            assert_never(chosen)


def _write_inline(source: InlineSource, directory: str) -> None:
    for name, content in source.files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise SourceError(f"the inline file {name!r} is not a path inside the context")
        file = Path(directory, *path.parts)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            file.write_text(content, encoding="utf-8")
            file.chmod(0o644)
        except OSError as error:
            raise SourceError(f"cannot write the inline file {name!r}: {error.strerror}") from error


def _fetch_git(source: GitSource, directory: str) -> FetchedContext:
    """Fetch one commit without history; a server that refuses a bare commit hash gets a full fetch."""
    url = source.url
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or url.startswith("-"):
        raise SourceError(
            f"{redact_url(url)} is not a git URL that can be fetched",
            hint="use https://, ssh://, git:// or http://",
        )
    if source.ref.startswith("-"):
        raise SourceError(f"{source.ref!r} is not a git ref")
    _git(directory, "init", "--quiet", "--initial-branch=main", ".")
    try:
        _git(directory, "fetch", "--quiet", "--depth=1", "--no-tags", url, source.ref, shown=url)
    except SourceError:
        if not _COMMIT.fullmatch(source.ref):
            raise
        _git(directory, "fetch", "--quiet", "--tags", url, "+refs/heads/*:refs/remotes/origin/*", shown=url)
        _git(directory, "update-ref", "FETCH_HEAD", source.ref)
    _git(directory, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    revision = _git(directory, "rev-parse", "HEAD").strip()
    _git(directory, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", shown=url)
    inside = os.path.realpath(os.path.join(directory, source.path))
    if inside != directory and not inside.startswith(directory + os.sep):
        raise SourceError(f"the path {source.path!r} leads out of the repository")
    if not os.path.isdir(inside):
        raise SourceError(
            f"{redact_url(url)} at {source.ref} has no directory {source.path!r}",
            hint="check spec.source.git.path",
        )
    return FetchedContext(inside, revision)


def _git(directory: str, *arguments: str, shown: str = "") -> str:
    """Run git with nothing of the machine's own configuration and no prompt, and return what it printed."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "https:ssh:git:http",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k == "GIT_SSL_CAINFO"},
    }
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed", hint="install git, or use Strake's builder image") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git did not finish {redact_url(shown)} within {_GIT_SECONDS} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_MESSAGE_SHOWN:]
        what = f"git {arguments[0]} of {redact_url(shown)}" if shown else f"git {arguments[0]}"
        hint = "check the URL, the ref and the credentials" if arguments[0] == "fetch" else ""
        raise SourceError(f"{what} failed: {said.replace(shown, redact_url(shown))}", hint=hint)
    return done.stdout.decode(errors="replace")


def redact_url(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
