"""The forms of --context: those of kaniko's executor, of buildx, and Strake's own."""

from __future__ import annotations

import argparse
import os
import posixpath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.models.source import GitSource, Source

FORMS: Final = (
    "a directory, dir://DIR, tar://FILE, tar://stdin, git+URL#REF:DIR, a git URL (https://….git, ssh://…, "
    "git@HOST:PATH), https://ARCHIVE, oci://ARTIFACT, s3://BUCKET/ARCHIVE, gs://BUCKET/ARCHIVE or "
    "https://ACCOUNT.blob.core.windows.net/CONTAINER/ARCHIVE"
)
OCI: Final = "oci://"
BUCKETS: Final = ("s3://", "gs://")
_STDIN: Final = "/dev/stdin"
_GIT_OPTIONS: Final = frozenset(
    {"branch", "single-branch", "depth", "recurse-submodules", "insecure-skip-tls"}
)
"""`single-branch` is what is done in any case."""


def context_of(arguments: argparse.Namespace) -> Source:
    """Return the source of the flags --context, --git and --context-sub-path.

    Raises:
        InvalidRequestError: one of them is not understood, or does not fit the others.
    """
    return within(with_git_options(read_source(arguments.context), arguments.git), arguments.context_sub_path)


def read_source(text: str) -> Source:
    """Return the source that a context's text means.

    Raises:
        InvalidRequestError: it is in none of the forms, or a git URL whose query is not understood.
    """
    from strake_api.models.source import (
        ArchiveSource,
        BucketSource,
        DirectorySource,
        HTTPSource,
        OCISource,
        Source,
    )
    from strake_builder.context.buckets.azure import is_blob

    if text.startswith("git://"):
        # kaniko's name for a repository; the protocol of this name is neither encrypted nor authenticated.
        method = os.environ.get("GIT_PULL_METHOD", "https")
        text = f"git+{method}://{text.removeprefix('git://')}"
    git = read_git(text)
    if git is not None:
        return Source(git=git)
    if text.startswith("tar://"):
        path = text.removeprefix("tar://")
        return Source(archive=ArchiveSource(path=_STDIN if path == "stdin" else os.path.abspath(path)))
    if text.startswith(OCI):
        return Source(oci=OCISource(reference=text.removeprefix(OCI)))
    if text.startswith(BUCKETS) or is_blob(text):
        return Source(bucket=BucketSource(url=text))
    if is_web(text):
        return Source(http=HTTPSource(url=text))
    path = text.removeprefix("dir://")
    if "://" in path:
        scheme = path.partition("://")[0]
        hint = f"use {FORMS}; or tar://stdin behind a program that fetches it"
        raise InvalidRequestError(f"contexts from {scheme}:// are not supported", hint=hint)
    return Source(directory=DirectorySource(path=os.path.abspath(path)))


def within(source: Source, path: str | None) -> Source:
    """Return a source of which a directory alone is the context (`--context-sub-path`).

    Raises:
        InvalidRequestError: the path leads out of the context.
    """
    if path is None:
        return source
    if ".." in path.split("/"):
        raise InvalidRequestError(f"--context-sub-path {path!r} leads out of the context")
    chosen = source.chosen
    (kind,) = source.model_fields_set
    at = "subdirectory" if kind == "archive" else "path"
    joined = posixpath.normpath(posixpath.join(getattr(chosen, at), path.strip("/")))
    return source.model_copy(update={kind: chosen.model_copy(update={at: joined})})


def with_git_options(source: Source, texts: list[str]) -> Source:
    """Return a git source with what kaniko's `--git` says of it, more than once or with commas.

    Raises:
        InvalidRequestError: the source is none, or an option is not understood or not to be had.
    """
    if not texts:
        return source
    if source.git is None:
        raise InvalidRequestError("--git: the context is no git repository")
    fields = dict(part.partition("=")[::2] for text in texts for part in text.split(","))
    if unknown := fields.keys() - _GIT_OPTIONS:
        hint = "write branch=NAME, depth=COMMITS or recurse-submodules=true"
        raise InvalidRequestError(f"--git: {min(unknown)!r} is not understood", hint=hint)
    changes: dict[str, object] = {}
    if fields.get("insecure-skip-tls", "false") != "false":
        changes["unverified"] = True
    if source.git.ref == "HEAD" and fields.get("branch"):
        changes["ref"] = fields["branch"]
    if "recurse-submodules" in fields:
        changes["submodules"] = fields["recurse-submodules"] != "false"
    if depth := fields.get("depth"):
        if not depth.isascii() or not depth.isdigit():
            raise InvalidRequestError(f"--git: depth={depth} is no number of commits")
        changes["depth"] = int(depth)
    return source.model_copy(update={"git": source.git.model_copy(update=changes)})


def read_git(text: str) -> GitSource | None:
    """Return the commit that a text means; None where it is no git URL.

    With `git+` before it any URL is one, and what follows `#` is `REF:DIR`. Without, what BuildKit takes for
    one is, with its queries. A second `#` begins the commit, as for kaniko.

    Raises:
        InvalidRequestError: it is one, and its query is not understood.
    """
    from strake_api.models.source import GitSource

    url, _, fragment = text.partition("#")
    fragment = fragment.rpartition("#")[2]  # the commit says more than the branch before it
    if url.startswith("git+"):
        ref, _, path = fragment.partition(":")
        return GitSource(url=url.removeprefix("git+"), ref=ref or "HEAD", path=path or ".")
    from strake_builder.context.git.fetch import is_commit
    from strake_builder.frontend.errors import FaultError
    from strake_builder.frontend.evaluation.git_source import parse_git

    try:
        found = parse_git(f"{url}#{fragment}" if fragment else url)
    except FaultError as fault:
        raise InvalidRequestError(f"the context {text}: {fault.message}", hint=fault.hint) from fault
    if found is None:
        return None
    whole = is_commit(found.checksum or "")
    if found.fetch_by_commit and not (whole or is_commit(found.ref)):
        hint = "write it as the ref, or as commit=HASH"
        raise InvalidRequestError(
            f"the context {text}: fetch-by-commit needs the full hash of a commit", hint=hint
        )
    by_commit = whole and (not found.ref or (found.fetch_by_commit and not is_commit(found.ref)))
    return GitSource(
        url=found.remote,
        ref=(found.checksum if by_commit else found.ref) or "HEAD",
        commit=found.checksum,
        path=found.subdir or ".",
        submodules=found.submodules,
        keep_git_dir=found.keep_git_dir,
    )


def is_web(text: str) -> bool:
    """Say whether a text is a URL that HTTP is spoken to."""
    return urlsplit(text).scheme.lower() in {"http", "https"}
