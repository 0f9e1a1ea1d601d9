"""What the executor is given, in one form for both sides: arguments, environment, mounts, copies, owners."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Any

from strake_builder.frontend.evaluation.paths import clean
from strake_builder.frontend.model.chown import Ownership
from strake_builder.frontend.model.steps import (
    AddStep,
    BindMount,
    CacheMount,
    CopyStep,
    GitSource,
    Mount,
    PathSource,
    RunStep,
    SecretMount,
    SshMount,
    Step,
    TmpfsMount,
    UrlSource,
    WorkdirStep,
)

NETWORKS = {"default": "UNSET", "host": "HOST", "none": "NONE"}


def ours(steps: Iterable[Step]) -> dict[str, Any]:
    """Return Strake's steps."""
    found: dict[str, Any] = {"runs": [], "copies": [], "directories": [], "files": []}
    for step in steps:
        match step:
            case RunStep():
                found["runs"].append(_our_run(step))
                found["files"] += [(file.name, file.content, 0o755) for file in step.files]
            case CopyStep() | AddStep():
                found["copies"] += _our_copies(step)
                found["files"] += [(file.name, file.content, 0o644) for file in step.files]
            case WorkdirStep():
                owner = _owner(Ownership(*(step.user.partition(":")[::2]))) if step.user else None
                found["directories"].append((step.path, owner))
            case _:
                pass
    return _once(found)


def theirs(operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the operations of BuildKit's low-level build definition."""
    found: dict[str, Any] = {"runs": [], "copies": [], "directories": [], "files": []}
    for operation in operations:
        match operation["kind"]:
            case "run":
                found["runs"].append(_their_run(operation))
            case "copy":
                found["copies"].append(_their_copy(operation))
            case "mkdir":
                found["directories"].append((clean(operation["dest"]), _tuple(operation["owner"])))
            case _:
                found["files"].append(
                    (operation["name"].lstrip("/"), operation["content"], operation["mode"])
                )
    return _once(found)


def _once(found: dict[str, Any]) -> dict[str, Any]:
    """BuildKit does equal things once: files made for heredocs, and copies that stand by themselves (--link)."""
    return {**found, "files": sorted(set(found["files"])), "copies": list(dict.fromkeys(found["copies"]))}


def _our_run(step: RunStep) -> dict[str, Any]:
    secrets = [mount for mount in step.mounts if isinstance(mount, SecretMount)]
    return {
        "args": list(step.command.argv),
        "env": sorted(step.environment),
        "cwd": step.working_dir,
        "user": step.user,
        "network": NETWORKS[step.network],
        "security": step.security.upper(),
        "mounts": sorted(filter(None, map(_our_mount, step.mounts)), key=repr),
        "secrets": sorted((s.id, s.env, not s.required) for s in secrets if s.env is not None),
    }


def _our_mount(mount: Mount) -> tuple[Any, ...] | None:
    match mount:
        case BindMount():
            return ("bind", mount.target, mount.path, mount.read_only)
        case CacheMount():
            path = (
                "(made)"
                if mount.path == "/" and (mount.uid, mount.gid, mount.mode) != (0, 0, 0o755)
                else mount.path
            )
            return ("cache", mount.target, path, mount.read_only, mount.id, mount.sharing.upper())
        case TmpfsMount():
            return ("tmpfs", mount.target, mount.size or 0)
        case SecretMount() if mount.target is None:
            return None
        case SecretMount() | SshMount():
            kind = "secret" if isinstance(mount, SecretMount) else "ssh"
            return (kind, mount.target, mount.id, mount.uid, mount.gid, mount.mode, not mount.required)


def _their_run(operation: dict[str, Any]) -> dict[str, Any]:
    return {
        "args": operation["args"],
        # The engine announces the agent's socket.
        "env": sorted(entry for entry in operation["env"] if not entry.startswith("SSH_AUTH_SOCK=")),
        "cwd": clean(operation["cwd"]),
        "user": operation["user"],
        "network": operation["network"],
        "security": operation["security"],
        "mounts": sorted(
            (_their_mount(m, operation["cwd"]) for m in operation["mounts"] if m["dest"] != "/dev/pipes/"),
            key=repr,
        ),
        "secrets": sorted(
            (secret["id"], secret["name"], secret["optional"]) for secret in operation["secrets"]
        ),
    }


def _their_mount(mount: dict[str, Any], directory: str) -> tuple[Any, ...]:
    # What the frontend leaves relative, a secret's target, begins at the process's directory when it is executed.
    target = clean(posixpath.join(directory, mount["dest"]))
    path = clean(mount["path"])
    match mount["type"]:
        case "bind":
            return ("bind", target, path, mount["readonly"])
        case "cache":
            made = "(made)" if path == "/cache" else path
            return ("cache", target, made, mount["readonly"], mount["id"].removeprefix("/"), mount["sharing"])
        case "tmpfs":
            return ("tmpfs", target, mount["size"])
        case kind:
            name = mount["id"] or "default"
            return (kind, target, name, mount["uid"], mount["gid"], mount["mode"], mount["optional"])


def _our_copies(step: CopyStep | AddStep) -> list[tuple[Any, ...]]:
    mode: Any = (
        (int(step.chmod, 8), "")
        if step.chmod and step.chmod.isdigit()
        else (0 if step.chmod else -1, step.chmod or "")
    )
    rest = (step.destination, _owner(step.chown), mode, tuple(sorted(step.excludes)))
    unpack = step.unpack if isinstance(step, AddStep) else False
    found: list[tuple[Any, ...]] = []
    for source in step.sources:
        match source:
            case PathSource():
                local = unpack if unpack is not None else True
                found.append((source.path, *rest, local, source.include, source.required))
            case UrlSource():
                found.append((f"/{source.filename}", *rest, bool(unpack), None, None))
            case GitSource():
                found.append(("/", *rest, False, None, None))
    return [*found, *((f"/{file.name}", *rest, False, None, None) for file in step.files)]


def _their_copy(operation: dict[str, Any]) -> tuple[Any, ...]:
    dest = clean(operation["dest"])
    if operation["dest"].endswith(("/", "/.")) and dest != "/":
        dest += "/"
    (include,) = operation["include"] or [None]
    (required,) = operation["required"] or [None]
    mode = (operation["mode"], operation["mode_text"])
    excludes = tuple(sorted(operation["exclude"] or ()))
    return (
        *(operation["src"], dest, _tuple(operation["owner"]), mode, excludes),
        *(operation["unpack"], include, required),
    )


def _owner(chown: Ownership | None) -> tuple[str, str] | None:
    return None if chown is None else (_name(chown.user or "0"), _name(chown.group or ""))


def _name(text: str) -> str:
    if text == "root":
        return "#0"
    # BuildKit takes a sign for part of a number; here "-1" is the name of a user.
    return f"#{int(text) & 0xFFFFFFFF}" if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else text


def _tuple(owner: list[str] | None) -> tuple[str, ...] | None:
    return None if owner is None else tuple(owner)
