"""Checks out one commit with the git program, which an untrusted URL, ref or repository must not command."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from strake_builder.context.git.credentials import GitAccess, GitCredentials
from strake_builder.context.git.proxy import GitProxy, explained
from strake_builder.context.git.ssh import SSH, SSHAgent, SSHKey, ssh_server
from strake_builder.errors import SourceError
from strake_oci.cancellation import Cancellation
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.lazy_dataclass import dataclass

_GIT_SECONDS: Final = 600
_CONFIGURATION: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"),
    *("-c", "core.logAllRefUpdates=false"),  # a kept .git would tell when and on which machine it was built
)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FETCHED: Final = re.compile(r"(?P<object>[0-9a-f]+)\t[^\t]*\t(?P<kind>branch|tag) '(?P<name>[^']+)' of ")
_SCHEMES: Final = frozenset({"https", "http", "ssh", "git"})
_MESSAGE_SHOWN: Final = 600
_NO_NAME: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
"""What no ref has (git-check-ref-format(1)), and a refspec or a revision may."""
_NO_REF: Final = "couldn't find remote ref"
_UNKNOWN_HOST: Final = "Host key verification failed"
_HOST_KEY: Final = (
    "known_hosts lacks the server's key, or has another: compare it with what the server's owner publishes"
)
_NOBODY: Final = {
    "HOME": "/nonexistent",  # no .netrc, no .git-credentials, no configuration
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
"""The environment in which git is nobody to any server."""
_INSTALLATION: Final = frozenset({"GIT_SSL_CAINFO", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"})
"""Variables by which git finds what belongs to it, where it was not installed at its usual directory."""


@dataclass(frozen=True, slots=True)
class GitCommit:
    """What to check out.

    Attributes:
        url: where to fetch from.
        ref: a branch, tag or full commit hash; empty is the remote's HEAD.
        submodules: check out submodules too.
        depth: commits of history, submodules' too; 0 for all of it, with tags.
        credentials: for the URL's server: a password, or a key.
        own_identity: fetch the URL with what the user who builds has for git (configuration, .netrc, SSH
            keys). For a URL that this user wrote; what a Dockerfile or a repository names gets none of it.
        networks: what must not be reached: by the URL, by redirects, by submodules.
        unverified: any certificate of the URL's server is accepted. Others' are verified.
    """

    url: str
    ref: str = "HEAD"
    submodules: bool = True
    depth: int = 1
    credentials: GitAccess | None = None
    own_identity: bool = False
    networks: DeniedNetworks = NONE_DENIED
    unverified: bool = False


def check_out(wanted: GitCommit, directory: str, cancellation: Cancellation | None = None) -> str:
    """Fetch one commit into an empty directory and return its full hash.

    A server that refuses a bare commit hash gets a full fetch.

    Args:
        wanted: what to fetch.
        directory: where to.
        cancellation: ends it.

    Raises:
        SourceError: it cannot be fetched, with git's message.
    """
    url, ref = _checked(wanted)
    cancellation = cancellation or Cancellation()
    _git(cancellation, directory, None, "init", "--quiet", "--initial-branch=main", ".")
    # A container that only fetches may have no other place to write to.
    with _Ways(wanted, cancellation, os.path.join(directory, ".git")) as ways:
        return _check_out(wanted, (url, ref), partial(_git, cancellation, directory, ways), directory)


def _check_out(wanted: GitCommit, asked: tuple[str, str], git: Callable[..., str], directory: str) -> str:
    url, access = asked[0], _access(wanted, asked[0])
    depth = [f"--depth={wanted.depth}"] if wanted.depth else []
    _fetch(wanted, asked, git)
    git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    revision = git("rev-parse", "HEAD").strip()
    _keep_ref(os.path.join(directory, ".git", "FETCH_HEAD"), git)
    if wanted.submodules and os.path.lexists(os.path.join(directory, ".gitmodules")):
        git("remote", "add", "origin", url)  # relative URLs of submodules start from it
        submodules = ("submodule", "--quiet", "update", "--init", "--recursive", *depth)
        git(*submodules, shown=url, access=access)
    return revision


def _fetch(wanted: GitCommit, asked: tuple[str, str], git: Callable[..., str]) -> None:
    """Have the commit, which is FETCH_HEAD then."""
    url, ref = asked
    ask = partial(git, shown=url, access=_access(wanted, url), own_identity=wanted.own_identity)
    depth = [f"--depth={wanted.depth}"] if wanted.depth else []
    shallow = ("fetch", "--quiet", *depth, "--no-tags" if depth else "--tags", url)
    if not (ref == "HEAD" or ref.startswith("refs/") or is_commit(ref)):
        try:
            ask(*shallow, f"refs/heads/{ref}")
        except SourceError as error:
            if _NO_REF not in error.message:
                raise
        else:
            return
    try:
        ask(*shallow, ref)
    except SourceError:
        if not is_commit(ref):
            raise
        ask("fetch", "--quiet", "--tags", url, "+refs/heads/*:refs/remotes/origin/*")
        git("update-ref", "FETCH_HEAD", ref)


def _keep_ref(fetch_head: str, git: Callable[..., str]) -> None:
    """Have the branch or tag that was fetched in the repository, as BuildKit: `git describe` asks for it."""
    with open(fetch_head, encoding="utf-8", errors="surrogateescape") as file:
        fetched = _FETCHED.match(file.readline())
    if fetched is not None:
        directory = {"branch": "heads", "tag": "tags"}[fetched["kind"]]
        git("update-ref", f"refs/{directory}/{fetched['name']}", fetched["object"])
    os.unlink(fetch_head)


def committed(wanted: GitCommit, directory: str, cancellation: Cancellation) -> tuple[str, int]:
    """Fetch one commit into an empty directory, without its files, and return its full hash and its time.

    Args:
        wanted: what to fetch.
        directory: where to.
        cancellation: ends it.

    Returns:
        The hash, and when it was committed, in seconds since 1970.

    Raises:
        SourceError: it cannot be fetched, with git's message.
    """
    asked = _checked(wanted)
    _git(cancellation, directory, None, "init", "--quiet", "--initial-branch=main", ".")
    with _Ways(wanted, cancellation, os.path.join(directory, ".git")) as ways:
        git = partial(_git, cancellation, directory, ways)
        _fetch(wanted, asked, git)
        revision = git("rev-parse", "FETCH_HEAD^{commit}").strip()
    return revision, commit_time(directory, cancellation, revision)


def commit_time(directory: str, cancellation: Cancellation, revision: str = "HEAD") -> int:
    """Return when a commit was committed, in seconds since 1970.

    Args:
        directory: in its tree, or in the repository.
        cancellation: ends it.
        revision: which commit; the one that is checked out where it is not given.

    Raises:
        SourceError: git does not tell.
    """
    text = _git(cancellation, directory, None, "log", "-1", "--format=%ct", revision).strip()
    try:
        return int(text)
    except ValueError as error:
        raise SourceError("git tells no time of the commit") from error


def is_commit(ref: str) -> bool:
    """Say whether a ref is the full hash of a commit."""
    return _COMMIT.fullmatch(ref) is not None


def _access(wanted: GitCommit, url: str) -> Mapping[str, str]:
    """Return the variables with a password for the URL's server, where there is one."""
    return wanted.credentials.variables(url) if isinstance(wanted.credentials, GitCredentials) else {}


def resolve_ref(wanted: GitCommit, cancellation: Cancellation | None = None) -> str:
    """Return the full hash of the commit that a ref stands for; see `resolve_object`."""
    return resolve_object(wanted, cancellation)[0]


def resolve_object(wanted: GitCommit, cancellation: Cancellation | None = None) -> tuple[str, str]:
    """Return the full hashes of the commit that a ref stands for, and of what it names, without fetching it.

    The two differ where it names an annotated tag. A full hash is not looked up.
    A branch goes before a tag of its name, as with `git checkout` and BuildKit, and unlike `git fetch`.

    Args:
        wanted: where to ask.
        cancellation: ends it.

    Raises:
        SourceError: the remote does not answer, or has no such ref.
    """
    url, ref = _checked(wanted)
    if is_commit(ref):
        return ref, ref
    cancellation = cancellation or Cancellation()
    with _Ways(wanted, cancellation) as ways:
        names = ("--", url, ref, f"{ref}^{{}}")
        ask = partial(_git, cancellation, "/", ways, own_identity=wanted.own_identity)
        listed = ask("ls-remote", "--quiet", *names, shown=url, access=_access(wanted, url))
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    for name in (f"refs/heads/{ref}", ref, f"refs/{ref}", f"refs/tags/{ref}"):
        named = found.get(name, "")
        commit = found.get(f"{name}^{{}}", named)  # an annotated tag stands for what it is of
        if is_commit(commit):
            return commit, named
    raise SourceError(f"{redact_url(url)} has no branch or tag {ref!r}", hint="check the ref")


def _checked(wanted: GitCommit) -> tuple[str, str]:
    """Return URL and ref, neither of which git can take for an option or a helper program."""
    url, ref = wanted.url, wanted.ref or "HEAD"
    if url.startswith("-") or not (urlsplit(url).scheme in _SCHEMES or ssh_server(url)):
        raise SourceError(
            f"{redact_url(url)} is not a git URL that can be fetched",
            hint="use https://, ssh://, git:// or http://",
        )
    if ref.startswith("-") or _NO_NAME.search(ref):
        raise SourceError(
            f"{ref!r} is not a git ref", hint="name a branch, a tag, or the full hash of a commit"
        )
    return url, ref


class _Ways:
    """How the git programs of one fetch get to servers. A context manager.

    Attributes:
        proxy: their only way out, where networks are denied.
        ssh: what they start in place of ssh.
        trust: options about certificates.
    """

    def __init__(self, wanted: GitCommit, cancellation: Cancellation, directory: str | None = None) -> None:
        self._key = wanted.credentials if isinstance(wanted.credentials, SSHKey | SSHAgent) else None
        self._url = wanted.url
        self._directory = directory
        parts = urlsplit(wanted.url)
        server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
        self.trust = ("-c", f"http.{server}.sslVerify=false") if wanted.unverified else ()
        self.proxy = GitProxy(wanted.networks, cancellation, directory) if wanted.networks.denied else None
        self._scope = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._scope as scope:
            proxy = scope.enter_context(self.proxy).command if self.proxy else ""
            self.ssh = scope.enter_context(SSH(self._url, self._key, proxy, self._directory))
            self._scope = scope.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()


def _git(
    cancellation: Cancellation,
    directory: str,
    ways: _Ways | None,
    *arguments: str,
    shown: str = "",
    access: Mapping[str, str] = MappingProxyType({}),
    own_identity: bool = False,
) -> str:
    """Run git with nothing of the machine's own configuration and no prompt, and return what it printed."""
    way = ways.proxy if ways else None
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "https:ssh:git:http",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
        **{k: v for k, v in os.environ.items() if k in _INSTALLATION},
        **(way.variables if way else {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}),
        **({"HOME": os.environ.get("HOME", "/")} if own_identity else _NOBODY),
        **(ways.ssh.variables(own_identity=own_identity) if ways else {}),
        **access,
    }
    try:
        process = subprocess.Popen(
            [
                "git",
                *_CONFIGURATION,
                *(ways.trust if ways else ()),
                *(way.configuration if way else ()),
                *arguments,
            ],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=0o022,  # git knows one bit of a mode; the rest is the umask, which BuildKit has so
            start_new_session=True,  # so that its own children end with it
        )
    except FileNotFoundError:
        raise SourceError("git is not installed", hint="install git, or use Strake's builder image") from None
    with process, cancellation.ending(partial(_kill, process)):
        try:
            out, err = process.communicate(timeout=_GIT_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise SourceError(f"git did not finish {redact_url(shown)} within {_GIT_SECONDS} s") from None
    if process.returncode:
        reason = err.decode(errors="replace").strip()[-_MESSAGE_SHOWN:]
        what = f"git {arguments[0]} of {redact_url(shown)}" if shown else f"git {arguments[0]}"
        if shown and way is not None and way.problem is not None:
            reason, hint = explained(way.problem)
            raise SourceError(f"{what} failed: {reason}", hint=hint) from way.problem
        hint = _HOST_KEY if _UNKNOWN_HOST in reason else "check the URL, the ref and the credentials"
        hint = hint if shown else ""
        raise SourceError(f"{what} failed: {reason.replace(shown, redact_url(shown))}", hint=hint)
    return out.decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def redact_url(url: str) -> str:
    """Return a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
