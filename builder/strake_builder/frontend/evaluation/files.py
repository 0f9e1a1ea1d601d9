"""COPY, ADD and WORKDIR: instructions that write files without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation import paths
from strake_builder.frontend.evaluation.go_text import quote
from strake_builder.frontend.evaluation.sources import add_source, check_checksum, copy_source
from strake_builder.frontend.model.chmod import check_mode
from strake_builder.frontend.model.chown import Ownership, parse_chown
from strake_builder.frontend.model.steps import (
    AddStep,
    ConfigStep,
    CopyStep,
    FromContext,
    HeredocFile,
    Origin,
    PathSource,
    WorkdirStep,
)
from strake_builder.frontend.patterns.ignore import IgnoreMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_builder.frontend.evaluation.state import StageState
    from strake_builder.frontend.model.syntax import Add, Copy, Position, Workdir

_EVERYTHING: Final = frozenset({"*", "**", "**/*"})


def copy(state: StageState, instruction: Copy, origin: Origin) -> CopyStep:
    """COPY."""
    position = instruction.position
    chown, chmod = _owner_and_mode(state, instruction)
    sources = [state.expand(source, position) for source in instruction.sources]
    destination = state.expand(instruction.destination, position)
    files = _files(state, instruction)
    origin_of_files = state.names.copy_origin(instruction)
    found = tuple(copy_source(source, parents=instruction.parents) for source in sources)
    if isinstance(origin_of_files, FromContext):
        _note_ignored(state, found, "Copy", position)
    return CopyStep(
        origin=origin,
        created_by=_history("COPY", instruction, chown, chmod, sources, destination),
        config=state.config,
        sources=found,
        files=files,
        source=origin_of_files,
        destination=paths.destination(state.config.working_dir, destination),
        chown=_ownership(chown, link=instruction.link),
        chmod=chmod or None,
        link=instruction.link and not chmod,  # with a mode BuildKit copies onto what is there
        parents=instruction.parents,
        excludes=instruction.excludes,
    )


def add(state: StageState, instruction: Add, origin: Origin) -> AddStep:
    """ADD."""
    position = instruction.position
    chown, chmod = _owner_and_mode(state, instruction)
    checksum = state.expand(instruction.checksum, position)
    sources = [state.expand(source, position) for source in instruction.sources]
    destination = state.expand(instruction.destination, position)
    files = _files(state, instruction)
    check_checksum(checksum, tuple(sources))
    found = tuple(
        add_source(source, checksum=checksum, keep_git_dir=instruction.keep_git_dir) for source in sources
    )
    _note_ignored(state, [source for source in found if isinstance(source, PathSource)], "Add", position)
    return AddStep(
        origin=origin,
        created_by=_history("ADD", instruction, chown, chmod, sources, destination),
        config=state.config,
        sources=found,
        files=files,
        destination=paths.destination(state.config.working_dir, destination),
        chown=_ownership(chown, link=instruction.link),
        chmod=chmod or None,
        link=instruction.link and not chmod,  # with a mode BuildKit copies onto what is there
        excludes=instruction.excludes,
        unpack=instruction.unpack,
    )


def _note_ignored(state: StageState, sources: Iterable[PathSource], verb: str, position: Position) -> None:
    """Report sources that .dockerignore leaves out; with exceptions in it that is hard to tell."""
    if state.ignore is None or state.ignore.has_exceptions:
        return
    for source in sources:
        path = source.path.lstrip("/")
        if state.ignore.ignores(path) if path else _EVERYTHING.intersection(state.ignore.patterns):
            message = f'Attempting to {verb} file "{path or "."}" that is excluded by .dockerignore'
            state.note("CopyIgnoredFile", message, position)


def _owner_and_mode(state: StageState, instruction: Copy | Add) -> tuple[str, str]:
    IgnoreMatcher(instruction.excludes)  # refuses malformed patterns
    chown = state.expand(instruction.chown, instruction.position)
    chmod = state.expand(instruction.chmod, instruction.position)
    if chmod:
        check_mode(chmod)
    return chown, chmod


def _ownership(chown: str, *, link: bool) -> Ownership | None:
    if not chown:
        return None
    ownership = parse_chown(chown)
    if link and ownership.needs_names:
        raise FaultError(
            Code.INVALID_FLAG,
            f"--chown={chown[:60]}: user and group names can't be resolved when used with --link",
            hint="use numbers, --chown=uid:gid, or take --link away",
            needle="--chown",
        )
    return ownership


def _files(state: StageState, instruction: Copy | Add) -> tuple[HeredocFile, ...]:
    files = []
    for doc in instruction.contents:
        if "/" in doc.name or doc.name in (".", ".."):
            raise FaultError(
                Code.INVALID_HEREDOC,
                f"{doc.name[:60]!r} cannot be the name of a file",
                hint="a heredoc's delimiter names the file it becomes",
                needle="<<",
            )
        content = state.expand_body(doc.body, instruction.position) if doc.expand else doc.body
        files.append(HeredocFile(doc.name, content))
    return tuple(files)


def _history(
    keyword: str, instruction: Copy | Add, chown: str, chmod: str, sources: list[str], destination: str
) -> str:
    parts = [keyword]
    if getattr(instruction, "parents", False):
        parts.append("--parents")
    if chown:
        parts.append(f"--chown={chown}")
    if chmod:
        parts.append(f"--chmod={chmod}")
    parts += sources
    parts += (f"<<{doc.name}" for doc in instruction.contents)
    return f"{' '.join((*parts, destination))} # buildkit"


def workdir(state: StageState, instruction: Workdir, origin: Origin) -> WorkdirStep | ConfigStep:
    """WORKDIR: a step with files unless the directory is the root."""
    path = state.expand(instruction.path, instruction.position)
    if not state.workdir_set and not path.startswith("/"):
        message = f"Relative workdir {quote(path)} can have unexpected results if the base image changes"
        state.note("WorkdirRelativePath", message, instruction.position)
    state.workdir_set = True
    directory = paths.workdir(state.config.working_dir, path)
    state.change(working_dir=directory)
    created_by = f"WORKDIR {directory}"
    if paths.clean(directory) == "/":
        return ConfigStep(origin, created_by, state.config)
    return WorkdirStep(origin, created_by, state.config, paths.clean(directory), state.config.user)
