"""Git sources of ADD: `https://….git#ref:dir`, `git@host:repo.git`, `ssh://…`, with BuildKit's queries."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation import paths
from strake_builder.frontend.model.steps import GitSource

_SCHEME: Final = re.compile(r"([a-zA-Z0-9]+)://")
# user@host:path, as scp takes it.
_SCP: Final = re.compile(r"([a-zA-Z0-9\-_]+)@([a-zA-Z0-9\-.]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?\Z", re.DOTALL)
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}\Z")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True", ""})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_KEYS: Final = frozenset(
    (
        *("ref", "tag", "branch", "subdir", "checksum", "commit"),
        *("keep-git-dir", "submodules", "mtime", "fetch-by-commit"),
    )
)
_MAY_BE_EMPTY: Final = frozenset({"keep-git-dir", "submodules", "fetch-by-commit"})


def parse_git(text: str, *, checksum: str = "", keep_git_dir: bool | None = None) -> GitSource | None:
    """Read a source; None when it is no Git repository.

    Args:
        text: The source as written.
        checksum: `--checksum`.
        keep_git_dir: `--keep-git-dir`.

    Raises:
        FaultError: It is one, and its query is not understood or contradicts the flags.
    """
    split = _split(text)
    if split is None:
        return None
    remote, fragment, query = split
    ref, _, subdir = fragment.partition(":")
    found = _Query(text, query)
    ref = found.ref(ref)
    subdir = found.one("subdir", paths.clean(subdir).removeprefix("/"))
    subdir = paths.clean(subdir).removeprefix("/")
    wanted = found.get("checksum") or found.get("commit") or ""
    if checksum and wanted and checksum != wanted:
        raise found.invalid(f"checksum mismatch: {checksum!r} and {wanted!r}")
    pinned = checksum or wanted
    if pinned and not _COMMIT.match(pinned):
        raise FaultError(
            Code.INVALID_CHECKSUM,
            f"invalid commit {pinned[:80]!r} for a Git source",
            hint="write a commit in lower-case hexadecimal digits",
            needle="--checksum" if checksum else text,
        )
    keep = found.flag("keep-git-dir")
    if keep is not None and keep_git_dir is not None and keep != keep_git_dir:
        raise found.invalid("inconsistent keep-git-dir configuration")
    return GitSource(
        remote=remote,
        ref=ref,
        subdir=subdir,
        keep_git_dir=bool(keep if keep is not None else keep_git_dir),
        submodules=found.flag("submodules") is not False,
        checksum=pinned or None,
        fetch_by_commit=bool(found.flag("fetch-by-commit")),
        mtime=found.mtime(),
    )


def _split(text: str) -> tuple[str, str, str] | None:
    """Return remote, fragment and query of a Git URL."""
    if text.startswith(("./", "../")):
        return None
    scheme = _SCHEME.match(text)
    if scheme is None:
        scp = _SCP.match(text)
        if scp is None:
            return None
        user, host, path, query, fragment = scp.groups()
        return f"{user}@{host}:{path}", unquote(fragment or ""), query or ""
    if scheme[1].lower() not in ("http", "https", "ssh", "git"):
        return None
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    if url.scheme in ("http", "https") and not unquote(url.path).endswith(".git"):
        return None
    remote = urlunsplit(SplitResult(url.scheme, url.netloc, url.path, "", ""))
    return remote, unquote(url.fragment), url.query


class _Query:
    """The query of a Git URL, each key once."""

    def __init__(self, text: str, query: str) -> None:
        self._text: Final = text
        self._values: Final[dict[str, str]] = {}
        for key, value in parse_qsl(query, keep_blank_values=True) if query else ():
            if key not in _KEYS:
                raise self.invalid(f"unexpected query {key[:40]!r}")
            if key in self._values:
                raise self.invalid(f"query {key!r} has multiple values")
            if not value and key not in _MAY_BE_EMPTY:
                raise self.invalid(f"query {key!r} has no value")
            self._values[key] = value

    def invalid(self, message: str) -> FaultError:
        return FaultError(Code.INVALID_SOURCE, f"{message} in a Git URL", needle=self._text)

    def get(self, key: str) -> str | None:
        return self._values.get(key)

    def one(self, key: str, other: str) -> str:
        """Return a value that may stand in the fragment as well."""
        value = self._values.get(key)
        if value and other and value != other:
            raise self.invalid(f"{key} conflicts: {other!r} and {value!r}")
        return value or other

    def ref(self, fragment: str) -> str:
        ref = self.one("ref", fragment)
        tag, branch = self.get("tag"), self.get("branch")
        if tag and branch:
            raise self.invalid("branch conflicts with tag")
        for name, prefix in ((tag, "refs/tags/"), (branch, "refs/heads/")):
            if name:
                full = name if name.startswith(prefix) else prefix + name
                if ref and ref != full:
                    raise self.invalid(f"ref conflicts: {ref!r} and {full!r}")
                ref = full
        return ref

    def flag(self, key: str) -> bool | None:
        value = self._values.get(key)
        if value is None:
            return None
        if value not in _TRUE | _FALSE:
            raise self.invalid(f"invalid {key} value {value[:40]!r}")
        return value in _TRUE

    def mtime(self) -> Literal["checkout", "commit"]:
        match self._values.get("mtime", "checkout"):
            case "checkout":
                return "checkout"
            case "commit":
                return "commit"
            case other:
                raise self.invalid(f"invalid mtime value {other[:40]!r}")
