"""What of a step its result depends on: its text, and nothing that is only a comment.

The position in the file, the history text and the configuration after the step are left out, and so are
the proxy arguments (Dockerfile reference, "Predefined ARGs") and the content of secrets (reference, "RUN
--mount=type=secret").
"""

from __future__ import annotations

from typing import assert_never

from strake_builder.cache.keys import Value
from strake_builder.frontend.model.file_origins import (
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
)
from strake_builder.frontend.model.steps import (
    DEFAULT_HOSTNAME,
    AddStep,
    BindMount,
    CacheMount,
    CopyStep,
    GitSource,
    HeredocFile,
    Mount,
    PathSource,
    RunStep,
    SecretMount,
    SshMount,
    TmpfsMount,
    UrlSource,
    WorkdirStep,
)

FileStep = RunStep | CopyStep | AddStep | WorkdirStep


def definition_of(step: FileStep) -> Value:
    """Return what a step says, without what it reads."""
    match step:
        case RunStep():
            return (
                "RUN",
                step.command.argv,
                _files(step.files),
                tuple(map(_mount, step.mounts)),
                step.network,
                step.security,
                step.environment,
                step.user,
                step.working_dir,
                *((step.hostname,) if step.hostname != DEFAULT_HOSTNAME else ()),
            )
        case CopyStep():
            paths = tuple(map(_path, step.sources))
            return ("COPY", paths, _origin(step.source), step.parents, *_placing(step))
        case AddStep():
            return ("ADD", tuple(map(_source, step.sources)), step.unpack, *_placing(step))
        case WorkdirStep():
            return ("WORKDIR", step.path, step.user)
        case _:
            assert_never(step)


def _placing(step: CopyStep | AddStep) -> tuple[Value, ...]:
    chown = (step.chown.user, step.chown.group) if step.chown else None
    return (_files(step.files), step.destination, chown, step.chmod, step.link, step.excludes)


def _files(files: tuple[HeredocFile, ...]) -> Value:
    return tuple((file.name, file.content) for file in files)


def _source(source: PathSource | UrlSource | GitSource) -> Value:
    match source:
        case PathSource():
            return _path(source)
        case UrlSource():
            return ("url", source.url, source.filename, source.checksum)
        case GitSource():
            return (
                "commit",
                source.remote,
                source.ref,
                source.subdir,
                source.keep_git_dir,
                source.submodules,
                source.checksum,
                source.fetch_by_commit,
                source.mtime,
            )
        case _:
            assert_never(source)


def _path(source: PathSource) -> Value:
    return ("path", source.path, source.include, source.required)


def _origin(origin: FileOrigin) -> Value:
    """Return the kind of an origin; the step's inputs tell which stage, image or files it is."""
    match origin:
        case FromContext() | FromNamedContext():
            return "context"
        case FromStage():
            return "stage"
        case FromImage():
            return "image"
        case FromScratch():
            return "scratch"
        case _:
            assert_never(origin)


def _mount(mount: Mount) -> Value:
    match mount:
        case BindMount():
            return ("bind", _origin(mount.source), mount.path, mount.target, mount.read_only)
        case CacheMount():
            owner = (mount.mode, mount.uid, mount.gid)
            identity = (mount.id, mount.target, _origin(mount.source), mount.path)
            return ("cache", identity, mount.sharing, owner, mount.owned, mount.read_only)
        case TmpfsMount():
            return ("tmpfs", mount.target, mount.size, mount.read_only)
        case SecretMount():
            owner = (mount.mode, mount.uid, mount.gid)
            return ("secret", mount.id, mount.target, mount.env, mount.required, owner)
        case SshMount():
            return ("ssh", mount.id, mount.target, mount.required, (mount.mode, mount.uid, mount.gid))
        case _:
            assert_never(mount)
