"""RUN: the final argument vector, environment and mounts."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_builder.frontend import builder_arguments
from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation import paths
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    Command,
    ExecCommand,
    FileOrigin,
    FromScratch,
    HeredocFile,
    Mount,
    Origin,
    RunStep,
    SecretMount,
    ShellCommand,
    SshMount,
    TmpfsMount,
)
from strake_builder.frontend.model.syntax import ExecForm, Run, ShellForm
from strake_builder.frontend.reading.heredoc import heredoc_word_or_none, strip_leading_tabs
from strake_builder.frontend.reading.mounts import MountSpec, mount_from, parse_mount

if TYPE_CHECKING:
    from strake_builder.frontend.evaluation.state import StageState

_PIPES: Final = "/dev/pipes/"


def run(state: StageState, instruction: Run, origin: Origin) -> RunStep:
    """RUN."""
    command, files = _command(state, instruction)
    return RunStep(
        origin=origin,
        created_by=_history(state, command),
        config=state.config,
        command=command,
        files=files,
        mounts=_mounts(state, instruction),
        network=instruction.network,
        security=instruction.security,
        environment=tuple(state.entries.values()),
        proxy_environment=state.scope.proxy,
        user=state.config.user,
        working_dir=paths.clean(state.config.working_dir or "/"),
        hostname=builder_arguments.hostname(state.scope.build_args),
    )


def _command(state: StageState, instruction: Run) -> tuple[Command, tuple[HeredocFile, ...]]:
    match instruction.form:
        case ExecForm(args):
            if not args:
                raise FaultError(Code.MISSING_ARGUMENT, "RUN [] names no program", needle="[")
            return ExecCommand(args), ()
        case ShellForm(text):
            script, files = _script(instruction, text)
            return ShellCommand((*state.shell, script)), files


def _script(instruction: Run, text: str) -> tuple[str, tuple[HeredocFile, ...]]:
    """Return what the shell gets, and the files that it needs.

    A command that is nothing but a heredoc is the heredoc's body; one that begins with "#!" becomes
    a file and is executed. Anything else is put together again for the shell to read.
    """
    docs = instruction.position.heredocs
    if not docs:
        return text, ()
    if heredoc_word_or_none(text) is None:
        return text + "".join(f"\n{doc.body}{doc.name}" for doc in docs), ()
    doc = docs[0]
    body = strip_leading_tabs(doc.body) if doc.strip_tabs else doc.body
    if not body.startswith("#!"):
        return body, ()
    if "/" in doc.name or doc.name in (".", ".."):
        raise FaultError(
            Code.INVALID_HEREDOC, f"{doc.name[:60]!r} cannot be the name of a script", needle="<<"
        )
    return _PIPES + doc.name, (HeredocFile(doc.name, body),)


def _history(state: StageState, command: Command) -> str:
    """The arguments in scope are part of what makes a RUN, so they stand in front of it."""
    shown = [f"{name}={state.values.get(name, value)}" for name, value in state.arguments.items()]
    prefix = [f"|{len(shown)}", *shown] if shown else []
    return f"RUN {' '.join((*prefix, *command.argv))} # buildkit"


def _mounts(state: StageState, instruction: Run) -> tuple[Mount, ...]:
    mounts: list[Mount] = []
    for text in instruction.mounts:
        spec = parse_mount(text, lambda value: state.expand(value, instruction.position))
        from_ = mount_from(text)
        source = state.names.mount_origin(from_) if from_ or spec.type == "bind" else FromScratch()
        sockets = sum(isinstance(mount, SshMount) for mount in mounts)
        mount = _mount(spec, source, state.config.working_dir, sockets)
        if isinstance(mount, CacheMount):
            mount = replace(mount, id=builder_arguments.cache_mount_id(mount.id, state.scope.build_args))
        mounts.append(mount)
    return tuple(mounts)


def _mount(spec: MountSpec, source: FileOrigin, directory: str, sockets: int) -> Mount:
    path = paths.clean(spec.source)
    match spec.type:
        case "bind":
            return BindMount(source, path, _target(spec, directory), bool(spec.read_only))
        case "cache":
            return CacheMount(
                id=spec.id or posixpath.normpath(spec.target or "."),
                target=_target(spec, directory),
                sharing=spec.sharing or "shared",
                source=source,
                path=path,
                mode=0o755 if spec.mode is None else spec.mode,
                uid=spec.uid or 0,
                gid=spec.gid or 0,
                read_only=bool(spec.read_only),
                owned=(spec.mode, spec.uid, spec.gid) != (None, None, None),
            )
        case "tmpfs":
            return TmpfsMount(_target(spec, directory), spec.size or None, bool(spec.read_only))
        case "secret":
            return _secret(spec, directory)
        case _:
            target = _target(spec, directory) if spec.target else f"/run/buildkit/ssh_agent.{sockets}"
            mode = 0o600 if spec.mode is None else spec.mode
            return SshMount(spec.id or "default", target, spec.required, mode, spec.uid or 0, spec.gid or 0)


def _secret(spec: MountSpec, directory: str) -> SecretMount:
    name = spec.source or spec.id or posixpath.basename(spec.target.rstrip("/"))
    target = _target(spec, directory) if spec.target else None
    if target is None and spec.env is None:
        base = posixpath.basename(name.rstrip("/"))
        if base in ("", ".", ".."):
            message = f"{name[:60]!r} cannot be the name of a secret's file"
            raise FaultError(Code.INVALID_MOUNT, message, hint="give it a target", needle="--mount")
        target = f"/run/secrets/{base}"
    return SecretMount(
        id=name,
        target=target,
        env=spec.env,
        required=spec.required,
        mode=0o400 if spec.mode is None else spec.mode,
        uid=spec.uid or 0,
        gid=spec.gid or 0,
    )


def _target(spec: MountSpec, directory: str) -> str:
    target = paths.clean(posixpath.join(directory or "/", spec.target))
    if target == "/":
        raise FaultError(
            Code.INVALID_MOUNT,
            f"invalid mount target {spec.target or '/'!r}",
            hint="write target=/path; the root itself cannot be mounted over",
            needle="--mount",
        )
    return target
