"""What evaluating a stage yields: steps with nothing left to expand.

The engine executes these and needs no Dockerfile knowledge. `Step` is a closed union: match on it and
let `assert_never` find what is missing. Every step carries the image configuration that holds after
it, so that any step's result can be an image.

Text that came from the Dockerfile may hold bytes that are not UTF-8 as surrogate escapes, if the
caller decoded the file so; encode with `errors="surrogateescape"` to get the bytes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from strake_builder.frontend.model.file_origins import (
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
)
from strake_builder.frontend.model.mount_steps import (
    BindMount,
    CacheMount,
    CacheSharing,
    Mount,
    SecretMount,
    SshMount,
    TmpfsMount,
)
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_builder.frontend.model.chown import Ownership
    from strake_builder.frontend.text.source import Span
    from strake_oci.spec.image import RuntimeConfig

NetworkMode: TypeAlias = Literal["default", "none", "host"]
SecurityMode: TypeAlias = Literal["sandbox", "insecure"]


DEFAULT_HOSTNAME: Final = "buildkitsandbox"
"""As with BuildKit, since packages write it down."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a step comes from, for messages and progress.

    Attributes:
        file: Name of the Dockerfile as given to `parse`.
        span: Lines of the instruction; of the FROM line for a trigger of the base image.
        text: The instruction as written, continuation lines joined, without heredoc bodies.
        is_trigger: True for an ONBUILD trigger that the base brought in.
    """

    file: str
    span: Span
    text: str
    is_trigger: bool = False


@dataclass(frozen=True, slots=True)
class HeredocFile:
    """A file whose content stands in the Dockerfile.

    Attributes:
        name: The delimiter word, which is the file's name.
        content: The body, tabs removed (`<<-`) and variables expanded where that applies.
    """

    name: str
    content: str


# --- RUN ---


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """Shell form: `argv` is the stage's SHELL followed by the one script argument."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecCommand:
    """Exec form: `argv` as the JSON array gives it, run without a shell."""

    argv: tuple[str, ...]


Command: TypeAlias = ShellCommand | ExecCommand


@dataclass(frozen=True, slots=True)
class RunStep:
    """RUN.

    Attributes:
        origin: Where it stands.
        created_by: Text for the image's history.
        config: The image configuration after the step.
        command: What to execute; its `argv` is final.
        files: Scripts that must exist, mode 0755, read-only and outside the layer, as
            `/dev/pipes/NAME` while the command runs (a heredoc that starts with `#!`).
        mounts: In the order written; later ones lie over earlier ones.
        network: `--network`.
        security: `--security`.
        environment: "K=V" of the process: the image's variables and the arguments in scope. Part of
            a cache key. HOME is not in it unless the image sets it: it depends on the user's passwd
            entry.
        proxy_environment: "K=V" of the predefined proxy arguments, in both cases. To be set over
            `environment`, never stored, never part of a cache key.
        user: `USER` in force, "" for root.
        working_dir: Absolute directory to start in.
        hostname: Name of the host, as far as the isolation can give it one.
    """

    origin: Origin
    created_by: str
    config: RuntimeConfig
    command: Command
    files: tuple[HeredocFile, ...]
    mounts: tuple[Mount, ...]
    network: NetworkMode
    security: SecurityMode
    environment: tuple[str, ...]
    proxy_environment: tuple[str, ...]
    user: str
    working_dir: str
    hostname: str = DEFAULT_HOSTNAME


# --- COPY and ADD ---


@dataclass(frozen=True, slots=True)
class PathSource:
    """A path, or a pattern of paths, within the step's file origin.

    Attributes:
        path: Absolute within the origin, cleaned (".." cannot leave it), without a trailing slash.
            May hold wildcards (`*`, `?`, `[…]`; `frontend.glob` tells and matches). A symbolic
            link at the end of it is followed, inside the origin's root.
        include: With `--parents`: the pattern, relative to `path`, of what is copied with its
            directories kept; None otherwise.
        required: With `--parents`, and without wildcards: the path that must exist.
    """

    path: str
    include: str | None = None
    required: str | None = None


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file to download over HTTP(S).

    Attributes:
        url: As written, variables expanded. May hold credentials: redact it in messages.
        filename: The name that it gets in a destination directory.
        checksum: "algorithm:hex" that the content must have, None for none.
    """

    url: str
    filename: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class GitSource:
    """A Git repository to check out.

    Attributes:
        remote: URL for git, without fragment and query.
        ref: Branch, tag or commit; "" for the remote's HEAD.
        subdir: Directory of the repository that is copied, "" for all.
        keep_git_dir: Keep `.git`.
        submodules: Check out submodules.
        checksum: Commit (a prefix of at least 7 hex digits) that the ref must resolve to.
        fetch_by_commit: Fetch `checksum` itself and do not resolve `ref` on the remote.
        mtime: Times of the files: those of the checkout or of the commit.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    checksum: str | None = None
    fetch_by_commit: bool = False
    mtime: Literal["checkout", "commit"] = "checkout"


@dataclass(frozen=True, slots=True)
class CopyStep:
    """COPY.

    Attributes:
        origin: Where it stands.
        created_by: Text for the image's history.
        config: The image configuration after the step.
        sources: Paths, in the order written.
        files: Heredocs to write, after the sources; mode 0644 unless `chmod` says otherwise.
        source: Whose files `sources` are.
        destination: Absolute and cleaned; ends with "/" if and only if it must be a directory.
        chown: Owner of everything made; None means 0:0.
        chmod: Mode for every file and directory copied, octal or symbolic; see
            `frontend.chmod.apply_mode`. Already checked.
        link: `--link`: the layer does not depend on lower layers.
        parents: `--parents`.
        excludes: `--exclude` patterns, in the order written; see `frontend.ignore`.
    """

    origin: Origin
    created_by: str
    config: RuntimeConfig
    sources: tuple[PathSource, ...]
    files: tuple[HeredocFile, ...]
    source: FileOrigin
    destination: str
    chown: Ownership | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddStep:
    """ADD: as `CopyStep`, from the context, from URLs and from Git repositories.

    Attributes:
        unpack: `--unpack`, None when not given. A local archive is then unpacked, a downloaded one
            is not; a Git source never is.
    """

    origin: Origin
    created_by: str
    config: RuntimeConfig
    sources: tuple[PathSource | UrlSource | GitSource, ...]
    files: tuple[HeredocFile, ...]
    destination: str
    chown: Ownership | None = None
    chmod: str | None = None
    link: bool = False
    excludes: tuple[str, ...] = ()
    unpack: bool | None = None


# --- the rest ---


@dataclass(frozen=True, slots=True)
class WorkdirStep:
    """WORKDIR that is not "/": the directory is made if it does not exist.

    Attributes:
        path: Absolute and cleaned.
        user: `USER` in force, whose directory it becomes if it is made; "" for root. Parents that
            are made along the way belong to the same user. Mode 0755.
    """

    origin: Origin
    created_by: str
    config: RuntimeConfig
    path: str
    user: str


@dataclass(frozen=True, slots=True)
class ConfigStep:
    """An instruction that changes metadata only.

    Attributes:
        created_by: Text for the image's history; None for ONBUILD, which leaves none.
    """

    origin: Origin
    created_by: str | None
    config: RuntimeConfig


Step: TypeAlias = RunStep | CopyStep | AddStep | WorkdirStep | ConfigStep

__all__ = [
    "AddStep",
    "BindMount",
    "CacheMount",
    "CacheSharing",
    "Command",
    "ConfigStep",
    "CopyStep",
    "ExecCommand",
    "FileOrigin",
    "FromContext",
    "FromImage",
    "FromNamedContext",
    "FromScratch",
    "FromStage",
    "GitSource",
    "HeredocFile",
    "Mount",
    "NetworkMode",
    "Origin",
    "PathSource",
    "RunStep",
    "SecretMount",
    "SecurityMode",
    "ShellCommand",
    "SshMount",
    "Step",
    "TmpfsMount",
    "UrlSource",
    "WorkdirStep",
]
